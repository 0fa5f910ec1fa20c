//! `data.json` of `@mdn/browser-compat-data`, version after version, from npm. Fetched once, kept in
//! `RESTOW_BENCH_DATA` or the user's cache folder.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::series::Series;

const VERSIONS: &[&str] = &["8.1.3", "8.1.4", "8.1.5", "8.1.6", "8.1.7", "8.1.9"];

pub struct CompatData {
    files: Vec<PathBuf>,
    at: usize,
}

impl CompatData {
    /// What could not be fetched is told.
    pub fn fetch() -> Result<Self, String> {
        let store = store();
        fs::create_dir_all(&store).map_err(|error| format!("{}: {error}", store.display()))?;
        let file = |version: &&str| fetch(&store, version);
        let files = VERSIONS.iter().map(file).collect::<Result<_, _>>()?;
        Ok(Self { files, at: 0 })
    }

    fn lay(&self, place: &Path) {
        let target = place.join("data.json");
        let (archive, name) = (&self.files[self.at], "package/data.json");
        let out = fs::File::create(target).unwrap();
        let status =
            Command::new("tar").arg("-xzOf").args([archive, Path::new(name)]).stdout(out).status();
        assert!(status.unwrap().success(), "{}", archive.display());
    }
}

fn store() -> PathBuf {
    let set = std::env::var_os("RESTOW_BENCH_DATA").map(PathBuf::from);
    let cache = || std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache"));
    set.or_else(|| Some(cache().or_else(home)?.join("restow-bench")))
        .unwrap_or_else(|| std::env::temp_dir().join("restow-bench"))
}

/// A tarball, as curl or npm bring it.
fn fetch(store: &Path, version: &str) -> Result<PathBuf, String> {
    let whole = store.join(format!("browser-compat-data-{version}.tgz"));
    if whole.exists() {
        return Ok(whole);
    }
    // Under another name until it is known to be whole.
    let line = r#"
        rm -rf "$W/part" && mkdir "$W/part" && cd "$W/part"
        curl -fsSL --max-time 120 -o got.tgz \
            "https://registry.npmjs.org/@mdn/browser-compat-data/-/browser-compat-data-$V.tgz" ||
            { npm pack --silent "@mdn/browser-compat-data@$V" >&2 && mv ./*.tgz got.tgz; }
        tar -tzf got.tgz package/data.json >&2
        mv got.tgz "$T"; cd / && rm -rf "$W/part"
    "#;
    let output = Command::new("sh")
        .args(["-ec", line])
        .envs([("W", store), ("T", &whole)])
        .env("V", version)
        .output()
        .map_err(|error| error.to_string())?;
    match output.status.success() {
        true => Ok(whole),
        false => Err(format!("{version}: {}", String::from_utf8_lossy(&output.stderr).trim())),
    }
}

impl Series for CompatData {
    fn begin(&mut self, place: &Path) {
        self.lay(place);
    }

    fn advance(&mut self, place: &Path) {
        self.at += 1;
        self.lay(place);
    }

    fn nights_max(&self) -> u32 {
        VERSIONS.len() as u32 - 1
    }
}
