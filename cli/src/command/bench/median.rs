//! The median of figures that were measured several times.

/// The median; of an even number of figures the upper one of the middle, of none 0.
pub(crate) fn median(figures: impl IntoIterator<Item = f64>) -> f64 {
    let mut all: Vec<f64> = figures.into_iter().collect();
    all.sort_by(f64::total_cmp);
    all.get(all.len() / 2).copied().unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::median;

    #[test]
    fn it_is_the_figure_in_the_middle() {
        let of = |figures: &[f64]| median(figures.iter().copied());
        assert_eq!(of(&[]), 0.0);
        assert_eq!(of(&[7.0]), 7.0);
        assert_eq!(of(&[9.0, 1.0, 5.0]), 5.0);
        assert_eq!(of(&[4.0, 1.0, 3.0, 2.0]), 3.0);
    }
}
