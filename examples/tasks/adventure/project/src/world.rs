//! The rooms, the things in them and where the player is.

use crate::parser::{Command, Direction};

struct Room {
    name: &'static str,
    /// Column and row; north is the row before.
    at: (i32, i32),
    things: Vec<String>,
}

pub struct World {
    rooms: Vec<Room>,
    here: usize,
    bag: Vec<String>,
}

impl World {
    /// The hall, three rooms to its north in a line, and the cellar to its east.
    pub fn old_house() -> Self {
        let room = |name, at, things: &[&str]| Room { name, at, things: things.iter().map(|thing| thing.to_string()).collect() };
        World {
            rooms: vec![
                room("hall", (0, 3), &["lamp"]),
                room("kitchen", (0, 2), &["knife", "bread"]),
                room("pantry", (0, 1), &[]),
                room("garden", (0, 0), &["rake"]),
                room("cellar", (1, 3), &["key"]),
            ],
            here: 0,
            bag: Vec::new(),
        }
    }

    fn next(&self, direction: Direction) -> Option<usize> {
        let (column, row) = self.rooms[self.here].at;
        let at = match direction {
            Direction::North => (column, row - 1),
            Direction::East => (column + 1, row),
            Direction::South => (column, row + 1),
            Direction::West => (column - 1, row),
        };
        self.rooms.iter().position(|room| room.at == at)
    }

    fn seen(&self) -> String {
        let room = &self.rooms[self.here];
        match room.things.is_empty() {
            true => format!("You are in the {}.", room.name),
            false => format!("You are in the {}. You see: {}.", room.name, room.things.join(", ")),
        }
    }

    /// Does what the player said and replies.
    pub fn play(&mut self, command: Command) -> String {
        match command {
            Command::Look => self.seen(),
            Command::Go(direction) => match self.next(direction) {
                Some(room) => {
                    self.here = room;
                    self.seen()
                }
                None => String::from("You can't go that way."),
            },
            Command::Take(thing) => {
                let things = &mut self.rooms[self.here].things;
                match things.iter().position(|other| *other == thing) {
                    Some(at) => {
                        self.bag.push(things.remove(at));
                        format!("You take the {thing}.")
                    }
                    None => format!("There is no {thing} here."),
                }
            }
            Command::Bag if self.bag.is_empty() => String::from("Your bag is empty."),
            Command::Bag => format!("You have: {}.", self.bag.join(", ")),
        }
    }
}
