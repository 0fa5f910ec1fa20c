//! What a backup is to do: from the command line and from the sources of restow.toml.

use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::sync::Arc;

use anyhow::{Result, bail};
use restow::source::kind::{OptionValues, Purpose};
use restow::source::{Description, Exporter, NamedSource, SourceKind, SourceKinds, merge};
use restow::{BackupOptions, Error, RetentionPolicy};

use super::args::BackupArgs;
use super::commands::Context;
use super::config::{Config, SourceConfig};
use super::location::Access;

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
    pub source: NamedSource,
    pub options: OptionValues,
    /// Whose output it is, for kinds that run one.
    pub program: Vec<OsString>,
}

impl Part {
    /// What manifests call its source. The source is not opened, and need not be there.
    pub fn identity(&self, context: &Context) -> Result<Description, Error> {
        let mut surroundings = context.surroundings();
        surroundings.program.clone_from(&self.program);
        Ok(self.source.kind.identity(&self.source.text, &self.options, &surroundings)?)
    }
}

impl Job {
    /// All sources that were said, as one snapshot. A source's name in restow.toml stands for what it names.
    pub fn of_arguments(context: &Context, args: &BackupArgs) -> Result<Self> {
        let (config, kinds) = (&context.config, &context.kinds);
        let mut job = Self::bare(args);
        let mut plain = Vec::new();
        for said in &args.sources {
            let named = said.to_str().and_then(|name| Some((name, config.sources.get(name)?)));
            if let Some((name, source)) = named {
                job.add_named(kinds, name, source, args)?;
                continue;
            }
            Self::complain_about_a_name(config, said)?;
            let source = kinds.source(said)?;
            plain.push(Arc::clone(&source.kind));
            let program =
                if source.kind.runs_program() { args.command.clone() } else { Vec::new() };
            job.parts.push(Part { source, options: args.given.values.clone(), program });
        }
        once_each(&plain, &args.command)?;
        refuse_unused(args, &job.kinds())?;
        job.without_bulk(args)?;
        Ok(job)
    }

    /// One named source.
    pub fn of_source(context: &Context, name: &str, args: &BackupArgs) -> Result<Self> {
        let mut job = Self::bare(args);
        job.add_named(&context.kinds, name, context.config.source(name)?, args)?;
        job.without_bulk(args)?;
        Ok(job)
    }

    /// The kinds of its sources.
    fn kinds(&self) -> Vec<&Arc<dyn SourceKind>> {
        self.parts.iter().map(|part| &part.source.kind).collect()
    }

    /// The rules of its sources, if they have some of their own. Nothing is deleted by mistake where several disagree.
    pub fn retention(&self) -> Result<Option<&RetentionPolicy>> {
        if let [first, rest @ ..] = self.retentions.as_slice()
            && rest.iter().any(|other| other != first)
        {
            bail!(Error::Usage(
                "the sources of this snapshot have different rules in restow.toml: run `restow cleanup` instead"
                    .into()
            ));
        }
        Ok(self.retentions.first())
    }

    /// What manifests call its sources.
    pub fn identities(&self, context: &Context) -> Result<Vec<Description>, Error> {
        self.parts.iter().map(|part| part.identity(context)).collect()
    }

    /// What reads its sources, but for what restow itself keeps among them.
    pub fn exporters(
        &self,
        context: &Context,
        access: &Access,
    ) -> Result<Vec<Box<dyn Exporter>>, Error> {
        let open = |part: &Part| {
            let mut surroundings = context.surroundings();
            surroundings.leave_out = access.own_folders();
            surroundings.pass_stderr = !context.options.json;
            surroundings.program.clone_from(&part.program);
            Ok(part.source.kind.exporter(&part.source.text, &part.options, &surroundings)?)
        };
        self.parts.iter().map(open).collect()
    }

    fn without_bulk(&mut self, args: &BackupArgs) -> Result<()> {
        if args.no_bulk {
            self.parts.retain(|part| !part.source.kind.is_bulk());
            if self.parts.is_empty() {
                bail!(Error::Usage("--no-bulk leaves nothing of these sources".into()));
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

    fn add_named(
        &mut self,
        kinds: &SourceKinds,
        name: &str,
        source: &SourceConfig,
        args: &BackupArgs,
    ) -> Result<()> {
        let command = source.command.iter().map(|program| {
            (format!("command:{name}"), program.iter().map(OsString::from).collect())
        });
        let several = source.source.iter().flat_map(|several| several.as_slice());
        for (text, program) in several.map(|one| (one.clone(), Vec::new())).chain(command) {
            let named = kinds.source(OsStr::new(&text))?;
            let mut options = source.options.clone();
            let own = source.of_kinds.get(named.kind.name());
            own.iter().for_each(|own| merge(&mut options, own));
            merge(&mut options, &args.given.values);
            self.parts.push(Part { source: named, options, program });
        }
        if let (Some(before), Some(wanted)) = (&self.repository, &source.repository)
            && before != wanted
        {
            bail!(Error::Usage(format!(
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

/// What stands after `--` belongs to the one source that runs a program.
fn once_each(kinds: &[Arc<dyn SourceKind>], program: &[OsString]) -> Result<(), Error> {
    if !program.is_empty() && !kinds.iter().any(|kind| kind.runs_program()) {
        let message = "a program after -- needs a source command:NAME before it";
        return Err(Error::Usage(message.to_owned()));
    }
    for (at, kind) in kinds.iter().enumerate() {
        let again = kinds.iter().skip(at + 1).any(|other| other.name() == kind.name());
        if let Some(why) = kind.only_one().filter(|_| again) {
            return Err(Error::Usage(why.to_owned()));
        }
    }
    Ok(())
}

/// A flag that means nothing to any of the sources was meant for another.
fn refuse_unused(args: &BackupArgs, kinds: &[&Arc<dyn SourceKind>]) -> Result<(), Error> {
    match args.given.unused(Purpose::Backup, kinds) {
        None => Ok(()),
        Some(flag) => {
            let kinds: Vec<_> = kinds.iter().map(|kind| kind.name()).collect();
            let message = format!("{flag} means nothing to a backup of {}", kinds.join(" and "));
            Err(Error::Usage(message))
        }
    }
}
