//! The terminal itself: taken over, given back, and its keys.

use crate::Failure;
use crossterm::{
    event::{self, Event, KeyCode, KeyEventKind, KeyModifiers},
    terminal,
};
use ratatui::{DefaultTerminal, Frame};
use std::{thread, time::Duration};
use tokio::sync::mpsc;

/// What a person can ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Key {
    /// Pause or go on.
    Pause,
    /// Withdraw consent, or give it again.
    Withdraw,
    /// The visitor buys.
    Buy,
    /// End.
    Quit,
}

/// How often the key thread looks whether it should end.
const KEY_POLL: Duration = Duration::from_millis(100);

/// The terminal, for as long as it is taken over.
#[derive(Debug)]
pub struct Terminal {
    inner: DefaultTerminal,
}

impl Terminal {
    /// Takes it over; gives the keys pressed from now on.
    ///
    /// # Errors
    /// When there is no terminal.
    pub fn open() -> Result<(Self, mpsc::Receiver<Key>), Failure> {
        terminal::size()?;
        let inner = ratatui::try_init()?;
        let (sender, keys) = mpsc::channel(8);
        // Terminal input blocks: a thread of its own, which ends when nobody listens.
        thread::spawn(move || {
            while !sender.is_closed() {
                match event::poll(KEY_POLL) {
                    Ok(true) => {
                        let Ok(event) = event::read() else { return };
                        if let Some(key) = key(&event)
                            && sender.blocking_send(key).is_err()
                        {
                            return;
                        }
                    }
                    Ok(false) => {}
                    Err(_) => return,
                }
            }
        });
        Ok((Self { inner }, keys))
    }

    /// Draws one frame.
    ///
    /// # Errors
    /// When the terminal has gone.
    pub fn draw(&mut self, render: impl FnOnce(&mut Frame<'_>)) -> Result<(), Failure> {
        self.inner.draw(render)?;
        Ok(())
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        ratatui::restore();
    }
}

fn key(event: &Event) -> Option<Key> {
    let Event::Key(key) = event else { return None };
    if key.kind == KeyEventKind::Release {
        return None;
    }
    match key.code {
        KeyCode::Char('c') if key.modifiers.contains(KeyModifiers::CONTROL) => Some(Key::Quit),
        KeyCode::Char('q') | KeyCode::Esc => Some(Key::Quit),
        KeyCode::Char('b') => Some(Key::Buy),
        KeyCode::Char('p') => Some(Key::Pause),
        KeyCode::Char('w') => Some(Key::Withdraw),
        _ => None,
    }
}
