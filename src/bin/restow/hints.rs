//! What to do about an error. The library tells the facts; this names the commands and flags that help.

use restow::{Error, RepoError};

/// What helps, as the end of a message; `None` where the facts say it all.
pub fn of(error: &anyhow::Error) -> Option<String> {
    let of_cause = |cause: &(dyn std::error::Error + 'static)| match cause.downcast_ref::<Error>() {
        Some(Error::Repo(error)) => of_repository(error),
        Some(error) => of_operation(error).map(str::to_owned),
        None => cause.downcast_ref::<RepoError>().and_then(of_repository),
    };
    error.chain().find_map(of_cause)
}

fn of_operation(error: &Error) -> Option<&'static str> {
    Some(match error {
        Error::UnreadableNotes { .. } => {
            "`restow check` names the snapshots; mark them again (`restow tag`), then remove these objects from the repository, \
             or delete the snapshots with --force"
        }
        Error::NoSnapshots { .. } => {
            "if you deleted all snapshots, `restow prune --empty` frees everything"
        }
        Error::NoTarget { .. } => "`--to FOLDER` names one",
        Error::DamagedPack { .. } => {
            "`restow check --read-data` names the snapshots; delete them, or back up their sources again, then prune again"
        }
        Error::NotWhole { .. } => {
            "run `restow check`; it says whether `restow rebuild-index`, with `--all` or without, can find the missing data; \
             else back up again, which stores unchanged data again, or delete the snapshot"
        }
        Error::UnreadableIndex { .. } => {
            "`restow rebuild-index` rebuilds it from the packs; then prune again"
        }
        Error::StaleCache { .. } => "remove the index cache, or try again with `--no-cache`",
        Error::PruneAtWork { .. } => "try again when it has ended",
        _ => return None,
    })
}

fn of_repository(error: &RepoError) -> Option<String> {
    match error {
        RepoError::NoSnapshot { wanted, .. } if wanted != "latest" => {
            Some("`restow list` shows the snapshots".into())
        }
        RepoError::UnreadableManifest { id, .. } => {
            Some(format!("if it cannot be recovered, delete it (`restow delete {id}`)"))
        }
        RepoError::LatestUnreadable { id, .. } => {
            Some(format!("name another id, or delete this one (`restow delete {id}`)"))
        }
        RepoError::CostlyKeys { .. } => Some("remove keys that you did not add from keys/".into()),
        RepoError::Expired { .. } => Some("back up again".into()),
        RepoError::PruneExpired { .. } => Some("prune again".into()),
        RepoError::UnreadableCondemned { .. } => Some(
            "if no prune is at work on any host, remove this object from the repository and prune again"
                .into(),
        ),
        RepoError::KeyInUse { .. } => {
            Some("open the repository with another key, or change this one (`restow key passwd`)".into())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ways_out_of_what_stops_a_prune_are_named() {
        let unreadable = |id: restow::SnapshotId| {
            let source = Box::new(RepoError::Interrupted);
            Error::from(RepoError::UnreadableManifest { id, source })
        };
        let id = restow::SnapshotId::new([7; 32]);
        let object = restow::ObjectId::new([7; 32]);
        let (source, lost) = (RepoError::Interrupted, || restow::StoreError::Poisoned);
        let cases = [
            (unreadable(id), "restow delete 0707"),
            (Error::UnreadableIndex { object, source }, "restow rebuild-index"),
            (
                Error::NotWhole { snapshot: id, source: lost() },
                "`restow rebuild-index`, with `--all`",
            ),
            (Error::NoSnapshots { packs: 1 }, "restow prune --empty"),
            (Error::NoTarget { url: String::new() }, "--to FOLDER"),
            (Error::UnreadableNotes { notes: Vec::new() }, "restow tag"),
            (Error::PruneAtWork { other: String::new() }, "when it has ended"),
            (
                RepoError::UnreadableCondemned {
                    object: String::new(),
                    source: Box::new(RepoError::Interrupted),
                }
                .into(),
                "remove this object",
            ),
            (RepoError::Expired { writer: String::new() }.into(), "back up again"),
        ];
        for (error, way) in cases {
            let told = of(&anyhow::Error::new(error).context("cleaning up failed")).unwrap();
            assert!(told.contains(way), "{told}");
        }
        let (place, wanted) = (String::new(), "ab".to_owned());
        let none = anyhow::Error::new(RepoError::NoSnapshot { place, wanted });
        assert!(of(&none).unwrap().contains("restow list"));
        assert_eq!(of(&anyhow::Error::new(Error::Interrupted)), None);
    }
}
