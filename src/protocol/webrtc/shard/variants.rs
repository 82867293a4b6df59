//! Viewers on their way from one variant of the programme to another: no packet is missing and none comes twice.

use super::{RelayKey, Session, Shard, Side};

impl Shard {
    /// Whether a viewer is on his way.
    pub(super) fn is_on_his_way(&self, place: usize) -> bool {
        let session = self.sessions.get(place).and_then(Option::as_ref);
        session.is_some_and(|session| match &session.side {
            Side::Viewer(_, viewer) => viewer.goes_over().is_some() || viewer.goal.is_some(),
            _ => false,
        })
    }

    /// Takes a viewer over to the variant that he is to get, if it has come to where he is.
    pub(super) fn go_over(&mut self, place: usize) {
        self.set_goal(place);
        let Some(Session { side: Side::Viewer(key, viewer), .. }) =
            self.sessions.get_mut(place).and_then(Option::as_mut)
        else {
            return;
        };
        let to =
            viewer.goal.as_ref().and_then(|goal| self.relays.get(goal)).filter(|relay| !relay.catching_up);
        let Some((from, to)) = self.relays.get(key).zip(to) else { return };
        if !viewer.go_over(from.lanes(), to.lanes()) {
            return;
        }
        let Some(goal) = viewer.goal.take() else { return };
        let left = std::mem::replace(key, goal.clone());
        self.leave_relay(&left, place);
        if let Some(relay) = self.relays.get_mut(&goal) {
            relay.awaited_by.retain(|awaiting| *awaiting != place);
            relay.viewers.push(place);
        }
    }

    /// Has the stream read that a viewer is to go over to, and no other.
    fn set_goal(&mut self, place: usize) {
        let Some(Session { side: Side::Viewer(key, viewer), channel, .. }) =
            self.sessions.get_mut(place).and_then(Option::as_mut)
        else {
            return;
        };
        // He is known to be where he was until he is sent something.
        let wanted = viewer.goes_over().filter(|variant| *variant != key.1.variant());
        if viewer.goal.as_ref().map(|goal| goal.1.variant()) == wanted {
            return;
        }
        let wanted = wanted.map(|variant| (key.0.clone(), key.1.of_variant(variant), key.2));
        let (given_up, channel) = (viewer.goal.take(), channel.clone());
        if let Some(given_up) = given_up {
            self.leave_relay(&given_up, place);
        }
        let wanted = wanted.filter(|goal| self.use_relay(goal, &channel).is_ok());
        if let Some(relay) = wanted.as_ref().and_then(|goal| self.relays.get_mut(goal)) {
            relay.awaited_by.push(place);
        }
        if let Some(Session { side: Side::Viewer(_, viewer), .. }) =
            self.sessions.get_mut(place).and_then(Option::as_mut)
        {
            viewer.goal = wanted;
        }
    }

    /// A stream is over: nobody goes there any more.
    pub(super) fn give_up_goal(&mut self, key: &RelayKey) {
        let mut places = Vec::new();
        for (place, session) in self.sessions.iter_mut().enumerate() {
            if let Some(Session { side: Side::Viewer(_, viewer), .. }) = session
                && viewer.goal.take_if(|goal| goal == key).is_some()
            {
                places.push(place);
            }
        }
        places.into_iter().for_each(|place| self.leave_relay(key, place));
    }
}
