//! A snapshot's sources, each on its way to its folder.

use std::path::Path;

use crate::ops::{
    OpError, RestoreOptions, RestorePlan, RestoreReport, RestoreTarget, Selection, plan_restore,
    restore,
};
use crate::progress::{Cancel, Observer};
use crate::repo::SnapshotView;
use crate::source::{Importer, RestoreOptions as ImportOptions};

/// Planned, not begun.
pub(super) struct Planned {
    parts: Vec<(RestoreOptions, Box<dyn Importer>)>,
    pub plan: RestorePlan,
}

impl Planned {
    pub fn new(
        view: &SnapshotView,
        target: &Path,
        overwrite: bool,
        cancel: &Cancel,
    ) -> Result<Self, OpError> {
        let mut planned = Self { parts: Vec::new(), plan: RestorePlan::default() };
        let options = ImportOptions { overwrite, ..ImportOptions::default() };
        for part in RestoreTarget::of(view, &Selection::default(), Some(target))? {
            let (mut importer, _) = part.importer(options, cancel)?;
            let part = RestoreOptions { prefix: part.prefix, ..RestoreOptions::default() };
            planned.plan.add(plan_restore(view, &mut *importer, &part, cancel)?);
            planned.parts.push((part, importer));
        }
        Ok(planned)
    }

    pub fn restore(
        self,
        view: &SnapshotView,
        observer: &dyn Observer,
        cancel: &Cancel,
    ) -> Result<RestoreReport, OpError> {
        let mut report = RestoreReport::default();
        for (options, importer) in self.parts {
            report.add(restore(view, importer, &options, observer, cancel)?);
        }
        Ok(report)
    }
}
