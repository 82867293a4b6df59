import { mount } from 'svelte'

import '../styles/base.css'
import { keyFromAddress } from './address.ts'
import Studio from './Studio.svelte'

const channel = decodeURIComponent(location.pathname.split('/')[2] ?? '')
mount(Studio, { target: document.getElementById('app')!, props: { name: channel, key: keyFromAddress() } })
