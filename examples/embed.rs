//! A program that has restow built in: it makes a repository, backs up a folder, restores it, and frees space.
//!
//! `cargo run --release --example embed -- /mnt/backup ./site /tmp/restored`

use std::error::Error;
use std::path::Path;
use std::sync::Arc;

use restow::{
    BackupOptions, CreateOptions, DeleteOptions, Filter, FolderExporter, FolderOptions, Local,
    Overwrite, PruneOptions, Secret, SnapshotManager,
};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [repository, source, target] = arguments.as_slice() else {
        return Err("embed REPOSITORY SOURCE TARGET".into());
    };
    run(repository.as_ref(), source.as_ref(), target.as_ref())
}

/// Takes two snapshots of the folder `source`, restores the first into `target`, and deletes the second.
pub fn run(repository: &Path, source: &Path, target: &Path) -> Result<(), Box<dyn Error>> {
    let secret = Secret::Passphrase("correct horse battery staple".into());
    let storage = Arc::new(Local::create(repository)?);
    SnapshotManager::init(&*storage, &secret, &CreateOptions::default())?;
    let manager = SnapshotManager::open(storage, &secret)?;

    let exporter = FolderExporter::new(source, FolderOptions::default())?;
    for night in ["first", "second"] {
        let options = BackupOptions::default().description(night.into());
        let report = manager.create(&[&exporter], &options)?;
        println!("{night}: {} new bytes", report.manifest.statistics.new_bytes);
    }

    let listed = manager.list(&Filter::default())?.snapshots;
    let [first, second] = listed.as_slice() else {
        return Err("two snapshots were expected".into());
    };
    manager.restore(first, target, Overwrite::Refuse)?;

    let plan = manager.plan_delete(&[second.id])?;
    manager.delete(&plan, &DeleteOptions::default())?;
    let pruned = manager.prune(&PruneOptions::default())?;
    println!("{} packs deleted", pruned.deleted.count);
    Ok(())
}
