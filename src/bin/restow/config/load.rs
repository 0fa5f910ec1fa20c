//! Reading the file: what is wrong with it is said with its line, and never with its contents.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use restow::Error as OpError;
use restow::source::SourceKinds;
use restow::source::kind::{OptionValues, Purpose};
use restow::storage::{Place, StorageKinds};

use serde::Deserialize;
use serde_json::Value;
use toml::Spanned;
use toml::de::{DeTable, DeValue, ValueDeserializer};

use super::{Config, Several, beside, nearest};

/// Keys that could only hold a secret in plain text.
const SECRETS: &[&str] =
    &["passphrase", "password", "passwd", "secret", "key", "restow_passphrase"];

pub fn read(file: &Path, kinds: &SourceKinds) -> Result<Config> {
    let shown = file.display();
    let text = std::fs::read_to_string(file)
        .with_context(|| format!("cannot read the configuration {shown}"))?;
    let mode = std::fs::metadata(file).map(|found| found.mode()).unwrap_or_default();
    if mode & 0o002 != 0 && mode & 0o170_000 == 0o100_000 {
        bail!(OpError::Usage(format!(
            "{shown} can be written by everybody, and commands in it are run: chmod o-w {shown}"
        )));
    }
    let mut config = parse(&text, kinds)
        .map_err(|wrong| OpError::Usage(explained(&shown.to_string(), &text, &wrong, kinds)))?;
    check(&config).map_err(|message| OpError::Usage(format!("{shown}: {message}")))?;
    let folder =
        std::path::absolute(file).with_context(|| format!("cannot find the folder of {shown}"))?;
    resolve(&mut config, folder.parent().unwrap_or(Path::new("/")), kinds);
    Ok(config)
}

/// What is wrong, and where it stands.
struct Wrong {
    start: usize,
    message: String,
}

impl Wrong {
    fn at(span: std::ops::Range<usize>, message: impl Into<String>) -> Self {
        Self { start: span.start, message: message.into() }
    }
}

impl From<toml::de::Error> for Wrong {
    fn from(error: toml::de::Error) -> Self {
        Self::at(error.span().unwrap_or_default(), error.message())
    }
}

/// The options of kinds are taken out first: each kind says which it has.
fn parse(text: &str, kinds: &SourceKinds) -> Result<Config, Wrong> {
    let document = DeTable::parse(text)?;
    let span = document.span();
    let mut document = document.into_inner();
    let mut options = BTreeMap::new();
    let sources = document.iter_mut().find(|(key, _)| key.get_ref() == "sources");
    if let Some(DeValue::Table(sources)) = sources.map(|(_, value)| value.get_mut()) {
        for (name, source) in sources.iter_mut() {
            if let DeValue::Table(table) = source.get_mut() {
                options.insert(name.get_ref().to_string(), take_options(table, kinds)?);
            }
        }
    }
    let rest = Spanned::new(span, DeValue::Table(document));
    let mut config = Config::deserialize(ValueDeserializer::from(rest))?;
    for (name, (options, of_kinds)) in options {
        if let Some(source) = config.sources.get_mut(&name) {
            (source.options, source.of_kinds) = (options, of_kinds);
        }
    }
    Ok(config)
}

type TakenOptions = (OptionValues, BTreeMap<String, OptionValues>);

/// The options that stand in a source's own table, and those in the tables of kinds in it.
fn take_options(table: &mut DeTable<'_>, kinds: &SourceKinds) -> Result<TakenOptions, Wrong> {
    let known = kinds.keys(Purpose::Backup);
    let (mut options, mut of_kinds) = (OptionValues::new(), BTreeMap::new());
    for (key, value) in std::mem::take(table) {
        let name = key.get_ref().to_string();
        if known.contains(&name) {
            options.insert(name.clone(), checked(&name, value, kinds)?);
            continue;
        }
        let (Some(kind), DeValue::Table(_)) = (kinds.named(&name), value.get_ref()) else {
            table.insert(key, value);
            continue;
        };
        let known = kind.options(Purpose::Backup).keys();
        let own: &mut OptionValues = of_kinds.entry(name).or_default();
        let DeValue::Table(inner) = value.into_inner() else { continue };
        for (key, value) in inner {
            let name = key.get_ref().to_string();
            if !known.contains(&name) {
                let message =
                    format!("unknown field `{name}`, expected one of `{}`", known.join("`, `"));
                return Err(Wrong::at(key.span(), message));
            }
            own.insert(name.clone(), checked(&name, value, kinds)?);
        }
    }
    Ok((options, of_kinds))
}

fn checked(key: &str, value: Spanned<DeValue<'_>>, kinds: &SourceKinds) -> Result<Value, Wrong> {
    let span = value.span();
    let value = Value::deserialize(ValueDeserializer::from(value))?;
    // As on the command line: it would mean everything, or nothing.
    let is_empty = |value: &Value| value.as_str() == Some("");
    if is_empty(&value) || value.as_array().is_some_and(|list| list.iter().any(is_empty)) {
        return Err(Wrong::at(span, format!("{key} is empty")));
    }
    kinds.check(Purpose::Backup, key, &value).map_err(|message| Wrong::at(span, message))?;
    Ok(value)
}

/// The message, the line, and where a name is unknown the nearest one. The text of the line stays unsaid:
/// it may be a secret.
fn explained(file: &str, text: &str, wrong: &Wrong, kinds: &SourceKinds) -> String {
    let line = text.bytes().take(wrong.start).filter(|byte| *byte == b'\n').count() + 1;
    let message = wrong.message.as_str();
    let Some(unknown) = message.strip_prefix("unknown field `") else {
        return format!("{file}, line {line}: {}", without_values(message));
    };
    let mut quoted = unknown.split('`');
    let key = quoted.next().unwrap_or_default();
    let mut known: Vec<&str> = quoted.skip(1).step_by(2).collect();
    let of_kinds = kinds.keys(Purpose::Backup);
    if known.contains(&"source") {
        known.extend(of_kinds.iter().map(String::as_str));
    }
    if SECRETS.contains(&key.to_ascii_lowercase().as_str()) {
        return format!(
            "{file}, line {line}: {key:?}: no secret belongs in this file; name where it comes from: \
             passphrase-command, passphrase-file or key-file"
        );
    }
    let hint = match nearest(key, known.iter().copied()) {
        Some(near) => format!("did you mean {near:?}?"),
        None => format!("there are: {}", known.join(", ")),
    };
    format!("{file}, line {line}: unknown field {key:?}; {hint}")
}

/// serde quotes the value it did not expect.
fn without_values(message: &str) -> String {
    match (message.split_once(" \""), message.rsplit_once("\", ")) {
        (Some((before, _)), Some((_, after))) => format!("{before}, {after}"),
        _ => message.to_owned(),
    }
}

/// What the types do not say.
fn check(config: &Config) -> Result<(), String> {
    let known = |name: &str| config.repositories.contains_key(name);
    let unknown = |name: &str| {
        let near = nearest(name, config.repositories.keys().map(String::as_str));
        let hint = near.map(|near| format!("; did you mean {near:?}?")).unwrap_or_default();
        format!("no repository {name:?} is configured{hint}")
    };
    if let Some(name) = &config.default_repository
        && !known(name)
    {
        return Err(format!("default-repository: {}", unknown(name)));
    }
    for (name, repository) in &config.repositories {
        let secrets = [
            repository.passphrase_command.is_some(),
            repository.passphrase_file.is_some(),
            repository.key_file.is_some(),
        ];
        if secrets.iter().filter(|given| **given).count() > 1 {
            return Err(format!(
                "repository {name:?}: one of passphrase-command, passphrase-file and key-file will do"
            ));
        }
    }
    if let Some(fault) = config.retention.as_ref().and_then(|retention| retention.policy().fault())
    {
        return Err(format!("retention: {fault}"));
    }
    for (name, source) in &config.sources {
        if let Some(fault) =
            source.retention.as_ref().and_then(|retention| retention.policy().fault())
        {
            return Err(format!("source {name:?}: retention: {fault}"));
        }
        let given = (&source.source, &source.command);
        let message = match given {
            (Some(several), None) if several.as_slice().is_empty() => "source is empty",
            (None, Some(command)) if command.is_empty() => "command is empty",
            (Some(_), None) | (None, Some(_)) => "",
            _ => "say either source or command",
        };
        if !message.is_empty() {
            return Err(format!("source {name:?}: {message}"));
        }
        if let Some(wanted) = source.repository.as_deref().filter(|wanted| !known(wanted)) {
            return Err(format!("source {name:?}: {}", unknown(wanted)));
        }
    }
    Ok(())
}

/// Makes every path absolute, so that it means the same wherever restow is run.
fn resolve(config: &mut Config, folder: &Path, kinds: &SourceKinds) {
    let fix = |path: &mut PathBuf| *path = beside(folder, path);
    for repository in config.repositories.values_mut() {
        // A scheme that is unknown is told when the repository is opened.
        let place = StorageKinds::default().place(&repository.place).ok();
        if let Some(path) = place.as_ref().and_then(Place::folder) {
            repository.place = beside(folder, path).to_string_lossy().into_owned();
        }
        repository.passphrase_file.iter_mut().for_each(fix);
        repository.key_file.iter_mut().for_each(fix);
        repository.cache.iter_mut().for_each(fix);
    }
    let path_keys = kinds.path_keys(Purpose::Backup);
    for source in config.sources.values_mut() {
        let tables = source.of_kinds.values_mut().chain([&mut source.options]);
        for (_, value) in tables.flatten().filter(|(key, _)| path_keys.contains(key)) {
            resolve_value(value, folder);
        }
        match &mut source.source {
            Some(Several::One(one)) => resolve_source(one, folder, kinds),
            Some(Several::Many(many)) => {
                many.iter_mut().for_each(|one| resolve_source(one, folder, kinds))
            }
            None => {}
        }
    }
}

fn resolve_value(value: &mut Value, folder: &Path) {
    match value {
        Value::String(path) => {
            *path = beside(folder, Path::new(path)).to_string_lossy().into_owned()
        }
        Value::Array(paths) => paths.iter_mut().for_each(|path| resolve_value(path, folder)),
        _ => {}
    }
}

fn resolve_source(source: &mut String, folder: &Path, kinds: &SourceKinds) {
    if let Some((scheme, path)) = kinds.path(source) {
        *source = format!("{scheme}{}", beside(folder, Path::new(path)).display());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> String {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("restow.toml");
        std::fs::write(&file, text).unwrap();
        read(&file, &SourceKinds::default()).unwrap_err().to_string()
    }

    #[test]
    fn what_is_wrong_is_said_with_its_line_and_without_secrets() {
        let cases = [
            (
                "\n[repositories.a]\nplase = 'x'\n",
                "line 3: unknown field \"plase\"; did you mean \"place\"?",
            ),
            ("[sources.a]\nsource = 'x'\nzzz = 1\n", "there are: source, command"),
            ("[repositories.a]\nplace = 'x'\npassphrase = 'hunter2'\n", "passphrase-command"),
            ("[repositories.a]\nplace = 1\n", "line 2: invalid type"),
            ("[sources.a]\nsource = 'x'\npermanent = 'hunter2'\n", "expected a boolean"),
            ("[repositories.a]\nplace = 'hunter2\n", "line 2"),
            (
                "default-repository = 'home'\n[repositories.hom]\nplace = 'x'",
                "did you mean \"hom\"",
            ),
            ("[sources.a]\n", "either source or command"),
            ("[retention]\n", "retention: no rule"),
            ("[retention]\nkeep-last = 0\n", "line 2"),
            ("[retention]\nkeep-weekly = 0\n", "1 or more"),
            ("[retention]\nkeep-daily = 'soon'\n", "like 36h"),
            ("[retention]\nkeep-within = 30\n", "like 36h"),
            ("[retention]\nkeep-dayly = 1\n", "did you mean \"keep-daily\""),
            ("[retention]\nmax-size = '5X'\n", "like 500M"),
            ("[sources.a]\nsource = 'x'\nretention = { keep-tag = ['x'] }\n", "keep-tag alone"),
            ("[sources.a]\nsource = 'x'\nrepository = 'none'\n", "no repository \"none\""),
            ("[repositories.a]\nplace = 'x'\nkey-file = 'x'\npassphrase-file = 'x'\n", "one of"),
        ];
        for (text, expected) in cases {
            let said = refused(text);
            assert!(said.contains(expected), "{text}: {said}");
            assert!(!said.contains("hunter2"), "{said}");
        }
    }

    #[test]
    fn paths_lie_beside_the_file() {
        let cases = [
            ("site", "/etc/x/site"),
            ("/var/site", "/var/site"),
            ("sqlite:app.db", "sqlite:/etc/x/app.db"),
            ("mysql://host/db", "mysql://host/db"),
            ("./a:b", "/etc/x/./a:b"),
        ];
        for (given, expected) in cases {
            let mut source = given.to_owned();
            resolve_source(&mut source, Path::new("/etc/x"), &SourceKinds::default());
            assert_eq!(source, expected);
        }
    }
}
