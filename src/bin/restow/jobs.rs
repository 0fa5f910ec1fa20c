//! What a backup is to do: from the command line and from the sources of restow.toml.

use std::ffi::{OsStr, OsString};
use std::path::Path;

use anyhow::{Result, bail};
use restow::ops::{BackupOptions, OpError};
use restow::source::files::FolderOptions;

use super::args::BackupArgs;
use super::config::{Config, SourceConfig};

/// One snapshot to take.
#[derive(Debug)]
pub struct Job {
    pub parts: Vec<Part>,
    /// The repository that a named source wants, unless another is said.
    pub repository: Option<String>,
    pub options: BackupOptions,
}

/// One source, as on the command line.
#[derive(Debug)]
pub struct Part {
    pub source: OsString,
    /// The program of a `command:` source.
    pub command: Vec<OsString>,
    pub folder: FolderOptions,
}

impl Job {
    /// All sources that were said, as one snapshot. A source's name in restow.toml stands for what it names.
    pub fn of_arguments(config: &Config, args: &BackupArgs) -> Result<Self> {
        let mut job = Self::bare(args);
        for said in &args.sources {
            let named = said.to_str().and_then(|name| Some((name, config.sources.get(name)?)));
            match named {
                Some((name, source)) => job.add_named(name, source, args)?,
                None => {
                    Self::complain_about_a_name(config, said.as_ref())?;
                    job.add(said.into(), Vec::new(), both_excludes(&SourceConfig::default(), args));
                }
            }
        }
        Ok(job)
    }

    /// One named source.
    pub fn of_source(config: &Config, name: &str, args: &BackupArgs) -> Result<Self> {
        let mut job = Self::bare(args);
        job.add_named(name, config.source(name)?, args)?;
        Ok(job)
    }

    fn bare(args: &BackupArgs) -> Self {
        let options = BackupOptions {
            name: args.name.clone(),
            description: args.description.clone().unwrap_or_default(),
            tags: args.tags.clone(),
            permanent: args.permanent,
            dry_run: args.dry_run,
            force_read: args.force,
            estimate: false,
        };
        Self { parts: Vec::new(), repository: None, options }
    }

    fn add(&mut self, source: OsString, command: Vec<OsString>, folder: FolderOptions) {
        self.parts.push(Part { source, command, folder });
    }

    fn add_named(&mut self, name: &str, source: &SourceConfig, args: &BackupArgs) -> Result<()> {
        let folder = both_excludes(source, args);
        if let Some(command) = &source.command {
            let command = command.iter().map(OsString::from).collect();
            self.add(format!("command:{name}").into(), command, folder.clone());
        }
        for one in source.source.iter().flat_map(|several| several.as_slice()) {
            self.add(one.into(), Vec::new(), folder.clone());
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

/// What restow.toml leaves out comes first, so that a flag can take something back.
fn both_excludes(source: &SourceConfig, args: &BackupArgs) -> FolderOptions {
    fn both<T: Clone>(configured: &[T], said: &[T]) -> Vec<T> {
        [configured, said].concat()
    }
    FolderOptions {
        excludes: both(&source.exclude, &args.exclude),
        exclude_files: both(&source.exclude_file, &args.exclude_file),
        exclude_if_present: both(&source.exclude_if_present, &args.exclude_if_present),
        exclude_caches: source.exclude_caches || args.exclude_caches,
        exclude_presets: both(&source.exclude_preset, &args.exclude_preset),
        one_file_system: source.one_file_system || args.one_file_system,
    }
}
