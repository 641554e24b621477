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

#[test]
fn counts_without_go() {
    assert_eq!(parse("n 3"), Ok(Command::Go(Direction::North, 3)));
    assert_eq!(parse("WEST 12"), Ok(Command::Go(Direction::West, 12)));
    assert_eq!(parse("e"), Ok(Command::Go(Direction::East, 1)));
    assert_eq!(played(&["n 2"]), "You are in the pantry.");
}

#[test]
fn bad_counts() {
    for line in ["go north 0", "go north 100", "n -1", "s many", "go west 1.5", "n 99999999999999999999"] {
        assert_eq!(parse(line), Err(ParseError::BadCount), "{line}");
    }
    assert_eq!(parse("go north 99"), Ok(Command::Go(Direction::North, 99)));
    assert!(!ParseError::BadCount.to_string().is_empty());
}

#[test]
fn other_errors_stay() {
    assert_eq!(parse("go north 3 4"), Err(ParseError::TooManyWords));
    assert_eq!(parse("n 3 4"), Err(ParseError::TooManyWords));
    assert_eq!(parse("go up 3"), Err(ParseError::UnknownWord("up".to_string())));
    assert_eq!(parse("take lamp 2"), Err(ParseError::TooManyWords));
    assert_eq!(parse("look 2"), Err(ParseError::TooManyWords));
    assert_eq!(parse("go"), Err(ParseError::MissingWord));
}

#[test]
fn stops_where_there_is_no_way() {
    assert_eq!(played(&["n", "s 5"]), "You get as far as the hall.");
    assert_eq!(played(&["n", "s 5", "look"]), "You are in the hall. You see: lamp.");
    assert_eq!(played(&["n 99"]), "You get as far as the garden.");
    assert_eq!(played(&["e 2"]), "You get as far as the cellar.");
}

#[test]
fn not_even_the_first_step() {
    assert_eq!(played(&["west 4"]), "You can't go that way.");
    assert_eq!(played(&["n 3", "n 2"]), "You can't go that way.");
    assert_eq!(played(&["w 4", "look"]), "You are in the hall. You see: lamp.");
}
