//! Into how many parts it pays to divide the tests of a mission.

use std::time::Duration;

use super::choose::{Asked, choose};
use super::{WorkflowError, Workplace};
use crate::reference::MissionName;
use crate::run::history;

/// Services take a matrix of so many jobs and no more (GitHub's limit).
const MOST_PARTS: u32 = 256;

/// How many parts the tests of a mission are worth, where the tests of one are to take about as long as `part`, one after
/// the other, by the earlier runs that are known here. A test that none of them ran counts as an average one; where nothing
/// is known, or nothing is to be tested, there is one part.
pub fn parts(workplace: &Workplace, mission: &MissionName, part: Duration) -> Result<u32, WorkflowError> {
    let tests = match choose(workplace, mission, &Asked::default()) {
        Ok(choice) => choice.expected,
        Err(WorkflowError::Nothing(_)) => return Ok(1),
        Err(error) => return Err(error),
    };
    let known = history::known(&workplace.state, mission);
    let times = tests.iter().filter_map(|id| known.get(id)).map(|known| known.seconds);
    Ok(worth(&times.collect::<Vec<_>>(), tests.len(), part))
}

#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "numbers of tests are small, and the result is bounded"
)]
fn worth(times: &[f64], tests: usize, part: Duration) -> u32 {
    if times.is_empty() || part.is_zero() {
        return 1;
    }
    let all = times.iter().sum::<f64>() / times.len() as f64 * tests as f64;
    let parts = (all / part.as_secs_f64()).ceil().clamp(1.0, f64::from(MOST_PARTS)) as u32;
    parts.min(u32::try_from(tests).unwrap_or(MOST_PARTS))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tests_are_divided_by_how_long_they_took_and_into_no_more_parts_than_there_are_tests() {
        let minutes = |minutes| Duration::from_mins(minutes);
        assert_eq!(worth(&[60.0, 60.0, 60.0], 3, minutes(2)), 2);
        assert_eq!(worth(&[60.0, 60.0, 60.0], 3, minutes(3)), 1);
        assert_eq!(worth(&[600.0, 60.0], 2, minutes(1)), 2, "a part holds a test at least");
        assert_eq!(worth(&[60.0], 6, minutes(2)), 3, "what is not known is average");
        assert_eq!(worth(&[], 100, minutes(1)), 1);
        assert_eq!(worth(&vec![3600.0; 1000], 1000, minutes(1)), MOST_PARTS);
    }
}
