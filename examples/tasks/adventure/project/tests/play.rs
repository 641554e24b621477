use oldhouse::parser::{parse, Command, Direction, ParseError};
use oldhouse::world::World;

fn played(lines: &[&str]) -> String {
    let mut world = World::old_house();
    let mut reply = String::new();
    for line in lines {
        reply = world.play(parse(line).unwrap());
    }
    reply
}

#[test]
fn parses() {
    assert_eq!(parse("Take LAMP"), Ok(Command::Take("lamp".to_string())));
    assert_eq!(parse("go"), Err(ParseError::MissingWord));
    assert_eq!(parse("dance"), Err(ParseError::UnknownWord("dance".to_string())));
    assert_eq!(parse("look here"), Err(ParseError::TooManyWords));
    assert_eq!(parse("  "), Err(ParseError::Empty));
}

#[test]
fn walks_and_takes() {
    assert_eq!(played(&["go north"]), "You are in the kitchen. You see: knife, bread.");
    assert_eq!(played(&["west"]), "You can't go that way.");
    assert_eq!(played(&["e", "take key", "bag"]), "You have: key.");
}

#[test]
fn walks_several_rooms() {
    assert_eq!(parse("go north 3"), Ok(Command::Go(Direction::North, 3)));
    assert_eq!(parse("go north"), Ok(Command::Go(Direction::North, 1)));
    assert_eq!(played(&["go north 3"]), "You are in the garden. You see: rake.");
}
