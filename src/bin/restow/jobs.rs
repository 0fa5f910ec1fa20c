//! What a backup is to do: from the command line and from the sources of restow.toml.

use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::time::Duration;

use anyhow::{Result, bail};
use restow::source::Exporter;
use restow::source::files::FolderOptions;
use restow::source::sqlite::SqliteOptions;
use restow::{BackupOptions, Error as OpError, RetentionPolicy};

use super::args::BackupArgs;
use super::commands::Context;
use super::config::{Config, SourceConfig};
use super::location::Access;
use super::servers::ServerSettings;
use super::servers::qdrant::QdrantSettings;
use super::sources::{self, SourceSettings, SourceSpec};

/// One snapshot to take.
#[derive(Debug)]
pub struct Job {
    pub parts: Vec<Part>,
    /// The repository that a named source wants, unless another is said.
    pub repository: Option<String>,
    pub options: BackupOptions,
    /// Clean up afterwards.
    pub cleanup: bool,
    /// Of the named sources among its sources those that have rules of their own.
    retentions: Vec<RetentionPolicy>,
}

/// One source, and how it is read.
#[derive(Debug)]
pub struct Part {
    pub spec: SourceSpec,
    pub settings: SourceSettings,
}

impl Job {
    /// All sources that were said, as one snapshot. A source's name in restow.toml stands for what it names.
    pub fn of_arguments(config: &Config, args: &BackupArgs) -> Result<Self> {
        let mut job = Self::bare(args);
        let named = |said: &OsString| -> Option<(String, &SourceConfig)> {
            let name = said.to_str()?;
            Some((name.to_owned(), config.sources.get(name)?))
        };
        let plain: Vec<OsString> =
            args.sources.iter().filter(|said| named(said).is_none()).cloned().collect();
        let mut specs = sources::parse(&plain, &args.command)?.into_iter();
        for said in &args.sources {
            match named(said) {
                Some((name, source)) => job.add_named(&name, source, args)?,
                None => {
                    Self::complain_about_a_name(config, said)?;
                    if let Some(spec) = specs.next() {
                        let settings = settings(&SourceConfig::default(), args)?;
                        job.parts.push(Part { spec, settings });
                    }
                }
            }
        }
        job.without_bulk(args)?;
        Ok(job)
    }

    /// One named source.
    pub fn of_source(config: &Config, name: &str, args: &BackupArgs) -> Result<Self> {
        let mut job = Self::bare(args);
        job.add_named(name, config.source(name)?, args)?;
        job.without_bulk(args)?;
        Ok(job)
    }

    /// The rules of its sources, if they have some of their own. Nothing is deleted by mistake where several disagree.
    pub fn retention(&self) -> Result<Option<&RetentionPolicy>> {
        if let [first, rest @ ..] = self.retentions.as_slice()
            && rest.iter().any(|other| other != first)
        {
            bail!(OpError::Usage(
                "the sources of this snapshot have different rules in restow.toml: run `restow cleanup` instead"
                    .into()
            ));
        }
        Ok(self.retentions.first())
    }

    /// What reads its sources, but for what restow itself keeps among them.
    pub fn exporters(
        &self,
        context: &Context,
        access: &Access,
    ) -> Result<Vec<Box<dyn Exporter>>, OpError> {
        let resolve = |part: &Part| {
            let mut settings = part.settings.clone();
            settings.folder.leave_out = access.own_folders();
            settings.pass_stderr = !context.options.json;
            part.spec.resolve(&settings)
        };
        self.parts.iter().map(resolve).collect()
    }

    fn without_bulk(&mut self, args: &BackupArgs) -> Result<()> {
        if args.no_bulk {
            self.parts.retain(|part| !part.spec.is_bulk());
            if self.parts.is_empty() {
                bail!(OpError::Usage("--no-bulk leaves nothing of these sources".into()));
            }
        }
        Ok(())
    }

    /// Of a source that no argument names, and no cleanup afterwards.
    pub fn of_options(options: BackupOptions) -> Self {
        let (parts, retentions) = (Vec::new(), Vec::new());
        Self { parts, repository: None, options, cleanup: false, retentions }
    }

    fn bare(args: &BackupArgs) -> Self {
        let options = BackupOptions::default()
            .name(args.name.clone())
            .description(args.description.clone().unwrap_or_default())
            .tags(args.tags.clone())
            .permanent(args.permanent)
            .dry_run(args.dry_run)
            .force_read(args.force);
        let (parts, retentions) = (Vec::new(), Vec::new());
        Self { parts, repository: None, options, cleanup: args.cleanup, retentions }
    }

    fn add_named(&mut self, name: &str, source: &SourceConfig, args: &BackupArgs) -> Result<()> {
        let settings = settings(source, args)?;
        let command = source.command.iter().map(|program| {
            let argv = program.iter().map(OsString::from).collect();
            Ok(SourceSpec::Command { name: name.to_owned(), argv })
        });
        let several = source.source.iter().flat_map(|several| several.as_slice());
        let specs = several.map(|one| SourceSpec::parse(OsStr::new(one), &[])).chain(command);
        for spec in specs {
            self.parts.push(Part { spec: spec?, settings: settings.clone() });
        }
        if let (Some(before), Some(wanted)) = (&self.repository, &source.repository)
            && before != wanted
        {
            bail!(OpError::Usage(format!(
                "sources of two repositories ({before}, {wanted}) cannot be one snapshot: \
                 back them up one by one, or say --repository"
            )));
        }
        self.repository = self.repository.take().or_else(|| source.repository.clone());
        self.retentions.extend(source.retention.as_ref().map(|own| own.policy()));
        let options = &mut self.options;
        options.name = options.name.take().or_else(|| source.name.clone());
        if args.description.is_none() && options.description.is_empty() {
            options.description = source.description.clone().unwrap_or_default();
        }
        for tag in &source.tags {
            if !options.tags.contains(tag) {
                options.tags.push(tag.clone());
            }
        }
        options.permanent |= source.permanent;
        Ok(())
    }

    /// A word that is neither a path nor a configured name was probably meant as a name.
    fn complain_about_a_name(config: &Config, said: &OsStr) -> Result<()> {
        let name = said.to_str().filter(|text| !text.contains(['/', ':']));
        match name {
            Some(name) if !config.sources.is_empty() && !Path::new(said).exists() => {
                config.source(name).map(|_| ())
            }
            _ => Ok(()),
        }
    }
}

/// What was said counts before restow.toml. What that leaves out comes first, so that a flag can take
/// something back.
fn settings(source: &SourceConfig, args: &BackupArgs) -> Result<SourceSettings, OpError> {
    fn both<T: Clone>(configured: &[T], said: &[T]) -> Vec<T> {
        [configured, said].concat()
    }
    let folder = FolderOptions {
        excludes: both(&source.exclude, &args.exclude),
        exclude_files: both(&source.exclude_file, &args.exclude_file),
        exclude_if_present: both(&source.exclude_if_present, &args.exclude_if_present),
        exclude_caches: source.exclude_caches || args.exclude_caches,
        exclude_presets: both(&source.exclude_preset, &args.exclude_preset),
        one_file_system: source.one_file_system || args.one_file_system,
        leave_out: Vec::new(),
        settle: Some(Duration::from_secs(args.settle)),
    };
    let mut sqlite = SqliteOptions {
        temp_dir: args.temp_dir.clone().or_else(|| source.temp_dir.clone()),
        ..SqliteOptions::default()
    };
    if let Some(seconds) = args.busy_timeout.or(source.busy_timeout) {
        sqlite.busy_timeout = Duration::from_secs(seconds);
    }
    let allow_empty = source.allow_empty || args.allow_empty;
    let qdrant = QdrantSettings {
        mode: args.qdrant_mode.or(source.qdrant_mode),
        nodes: both(&source.qdrant_node, &args.qdrant_node),
        continues: args.qdrant_as.clone().or_else(|| source.qdrant_as.clone()),
    };
    // The repository's own folders, and who hears a command, are known where the sources are opened.
    let servers = ServerSettings::of(&args.servers, source)?;
    let collections = match args.collections.as_slice() {
        [] => source.collections.clone(),
        said => said.to_vec(),
    };
    Ok(SourceSettings {
        folder,
        sqlite,
        servers,
        qdrant,
        collections,
        include_system: source.include_system || args.include_system,
        include_users: source.include_users || args.include_users,
        allow_empty,
        pass_stderr: false,
    })
}
