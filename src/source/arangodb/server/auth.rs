//! How a server knows who asks.

use std::fmt;
use std::sync::{Mutex, PoisonError};

use serde_json::{Value, json};
use zeroize::Zeroizing;

use crate::source::http::{Call, Client, Credential, HttpError, Repeat, Trouble};

/// Who asks. Never shown.
#[derive(Clone)]
pub enum ArangoLogin {
    /// With every request.
    Basic { user: String, password: Zeroizing<String> },
    /// Exchanged for a token that is renewed when it has run out.
    Session { user: String, password: Zeroizing<String> },
    /// A ready token, which nobody can renew.
    Token(Zeroizing<String>),
}

impl ArangoLogin {
    pub fn basic(user: &str, password: &str) -> Self {
        Self::Basic { user: user.to_owned(), password: password.to_owned().into() }
    }

    pub fn session(user: &str, password: &str) -> Self {
        Self::Session { user: user.to_owned(), password: password.to_owned().into() }
    }

    pub fn token(token: &str) -> Self {
        Self::Token(token.to_owned().into())
    }

    /// As errors tell of it.
    pub(super) fn who(&self) -> String {
        match self {
            Self::Basic { user, .. } | Self::Session { user, .. } => format!("user {user}"),
            Self::Token(_) => "whom the token in ARANGO_JWT names".to_owned(),
        }
    }
}

impl Default for ArangoLogin {
    /// As a new server has it.
    fn default() -> Self {
        Self::basic("root", "")
    }
}

impl fmt::Debug for ArangoLogin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ArangoLogin({})", self.who())
    }
}

/// A login and what it was exchanged for.
pub(super) struct Auth {
    pub login: ArangoLogin,
    state: Mutex<LoginState>,
}

enum LoginState {
    /// Not asked for yet.
    New,
    /// With each renewal another number.
    Known(u64, Credential),
    /// The server wants none.
    Off,
}

/// What a request is sent with.
pub(super) struct Ticket {
    pub credential: Option<Credential>,
    number: u64,
}

impl Auth {
    pub fn new(login: ArangoLogin) -> Self {
        let state = match &login {
            ArangoLogin::Basic { user, password } => {
                LoginState::Known(0, Credential::basic(user, password))
            }
            ArangoLogin::Token(token) => LoginState::Known(0, Credential::bearer(token)),
            ArangoLogin::Session { .. } => LoginState::New,
        };
        Self { login, state: Mutex::new(state) }
    }

    pub fn ticket(&self, client: &Client, base: &str) -> Result<Ticket, HttpError> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let LoginState::New = &*state {
            *state = self.exchange(client, base, 0)?;
        }
        Ok(match &*state {
            LoginState::Known(number, credential) => {
                Ticket { credential: Some(credential.clone()), number: *number }
            }
            LoginState::New | LoginState::Off => Ticket { credential: None, number: 0 },
        })
    }

    /// Another ticket after `old` was refused. `None`: there is none to be had.
    pub fn renewed(
        &self,
        old: &Ticket,
        client: &Client,
        base: &str,
    ) -> Result<Option<Ticket>, HttpError> {
        if !matches!(self.login, ArangoLogin::Session { .. }) {
            return Ok(None);
        }
        {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            // Others who were refused at the same time may have renewed it by now.
            let is_current = match &*state {
                LoginState::Known(number, _) => *number == old.number,
                LoginState::New | LoginState::Off => true,
            };
            if is_current {
                *state = self.exchange(client, base, old.number.saturating_add(1))?;
            }
        }
        self.ticket(client, base).map(Some)
    }

    fn exchange(&self, client: &Client, base: &str, number: u64) -> Result<LoginState, HttpError> {
        let ArangoLogin::Session { user, password } = &self.login else {
            return Ok(LoginState::Off);
        };
        let url = format!("{base}/_open/auth");
        let who = json!({"username": user, "password": password.as_str()});
        let call = Call::post(url.clone(), Repeat::Always).json(&who);
        let answer = match client.ask(&call) {
            Ok(answer) => answer,
            Err(error) if error.status() == Some(404) => return Ok(LoginState::Off),
            Err(error) => return Err(error),
        };
        let answer: Value = serde_json::from_slice(&answer).unwrap_or_default();
        match answer.get("jwt").and_then(Value::as_str) {
            Some(jwt) => Ok(LoginState::Known(number, Credential::bearer(jwt))),
            None => {
                let what = "the answer has no token: is this an ArangoDB server?";
                Err(HttpError { url, trouble: Trouble::Unexpected(what.into()) })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_does_not_show() {
        for login in [
            ArangoLogin::basic("anna", "s3cret"),
            ArangoLogin::session("anna", "s3cret"),
            ArangoLogin::token("s3cret"),
        ] {
            assert!(!format!("{login:?} {}", login.who()).contains("s3cret"));
        }
    }
}
