import { mount } from 'svelte'

import '../styles/base.css'
import Watch from './Watch.svelte'

const channel = decodeURIComponent(location.pathname.split('/')[1] ?? '')
mount(Watch, { target: document.getElementById('app')!, props: { name: channel } })
