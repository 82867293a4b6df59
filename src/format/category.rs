//! What an advertisement is about: names of content categories, where `IAB25-3` is below `IAB25`.

/// A category and all that it is below. Who blocks one of them blocks the category.
pub fn with_those_above(category: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(Some(category), |name| name.rsplit_once('-').map(|(above, _)| above))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_category_is_below_what_its_name_begins_with() {
        let above = |category| with_those_above(category).collect::<Vec<_>>();
        assert_eq!(above("IAB25-3-1"), ["IAB25-3-1", "IAB25-3", "IAB25"]);
        assert_eq!(above("IAB255"), ["IAB255"]);
    }
}
