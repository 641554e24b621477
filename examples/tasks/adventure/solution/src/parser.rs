//! Turns what the player types into commands.

use std::fmt;

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Direction {
    North,
    East,
    South,
    West,
}

#[derive(Debug, PartialEq)]
pub enum Command {
    Look,
    Go(Direction, u32),
    Take(String),
    Bag,
}

#[derive(Debug, PartialEq)]
pub enum ParseError {
    Empty,
    UnknownWord(String),
    MissingWord,
    TooManyWords,
    BadCount,
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            ParseError::Empty => write!(f, "Say something."),
            ParseError::UnknownWord(word) => write!(f, "I don't know \"{word}\"."),
            ParseError::MissingWord => write!(f, "There is a word missing."),
            ParseError::TooManyWords => write!(f, "That was too much for me."),
            ParseError::BadCount => write!(f, "I can walk 1 to 99 rooms."),
        }
    }
}

fn direction(word: &str) -> Option<Direction> {
    match word {
        "north" | "n" => Some(Direction::North),
        "east" | "e" => Some(Direction::East),
        "south" | "s" => Some(Direction::South),
        "west" | "w" => Some(Direction::West),
        _ => None,
    }
}

fn count(word: Option<&str>) -> Result<u32, ParseError> {
    match word.map(str::parse) {
        None => Ok(1),
        Some(Ok(count @ 1..=99)) => Ok(count),
        Some(_) => Err(ParseError::BadCount),
    }
}

/// Upper and lower case are the same. A direction alone is enough to walk; a count may follow it.
pub fn parse(line: &str) -> Result<Command, ParseError> {
    let line = line.to_lowercase();
    let mut words = line.split_whitespace();
    let command = match words.next().ok_or(ParseError::Empty)? {
        "look" => Command::Look,
        "bag" => Command::Bag,
        "take" => Command::Take(words.next().ok_or(ParseError::MissingWord)?.to_string()),
        "go" => {
            let word = words.next().ok_or(ParseError::MissingWord)?;
            let direction = direction(word).ok_or_else(|| ParseError::UnknownWord(word.to_string()))?;
            Command::Go(direction, count(words.next())?)
        }
        word => {
            let direction = direction(word).ok_or_else(|| ParseError::UnknownWord(word.to_string()))?;
            Command::Go(direction, count(words.next())?)
        }
    };
    match words.next() {
        Some(_) => Err(ParseError::TooManyWords),
        None => Ok(command),
    }
}
