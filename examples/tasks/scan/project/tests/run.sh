# Compares what the program prints with what it should.
failed=0

expect() {
    got=$(printf "$2" | ./build/outline $1 2>&1)
    if [ "$got" != "$3" ]; then
        printf 'for %s with "%s"\nexpected: %s\ngot:      %s\n' "$2" "$1" "$3" "$got"
        failed=1
    fi
}

expect "" 'a = 1\n[disk]\npath = "/tmp/x y"\nkeep = all # as it is\n' '(none): 1
disk: 2'
expect "" '' '(none): 0'
expect "" 'a = 1\n\nb 2\n' 'outline: mistake in line 3'
expect "" 'a = "open\n' 'outline: mistake in line 1'
expect --tokens 'max-size = 12\n[x]' '1 word max-size
1 sign =
1 number 12
2 sign [
2 word x
2 sign ]
2 end '
exit $failed
