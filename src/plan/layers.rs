//! How many layers each environment of an image is.
//!
//! The number decides which packages lie together, and so it moves with the number of packages in a few wide steps: all layers
//! of an environment change where it does.

/// Layers for all environments of an image together. Docker takes at most 125 in an image, of which a common image on
/// somebody's own base may have half.
const BUDGET: usize = 40;

/// The layers of environments with so many packages.
pub(super) fn numbers(packages: &[usize]) -> Vec<usize> {
    let mut numbers = packages.iter().map(|&packages| number(packages)).collect::<Vec<_>>();
    while numbers.iter().sum::<usize>() > BUDGET {
        match numbers.iter_mut().max() {
            Some(most) if *most > 1 => *most /= 2,
            _ => break,
        }
    }
    numbers
}

/// The layers of an environment, where it is the only one.
fn number(packages: usize) -> usize {
    match packages {
        0..8 => 1,
        8..32 => 5,
        32..128 => 20,
        _ => BUDGET,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn environments_share_the_layers_that_there_are() {
        assert_eq!(numbers(&[3]), [1]);
        assert_eq!(numbers(&[180]), [40]);
        assert_eq!(numbers(&[180, 170]), [20, 20]);
        assert_eq!(numbers(&[180, 60, 3]), [20, 10, 1]);
        assert_eq!(numbers(&[]), Vec::<usize>::new());
        assert_eq!(numbers(&[100; 60]), [1; 60]);
    }
}
