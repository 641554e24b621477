# Compares what the program prints with what it should.
failed=0

# expect OPTIONS TEXT STATUS OUTPUT
expect() {
    got=$(printf "$2" | ./wordfreq $1 2>/dev/null)
    status=$?
    if [ "$got" != "$4" ] || [ $status != "$3" ]; then
        printf 'for "%s" with "%s"\nexpected (%s): %s\ngot (%s): %s\n' "$2" "$1" "$3" "$4" $status "$got"
        failed=1
    fi
}

expect "" "to be or not to be" 0 "2 be
2 to
1 not
1 or"
expect "-i" "The the THE end" 0 "3 the
1 end"
expect "" "" 0 ""
expect "-x" "a" 2 ""
expect "-n 2" "to be or not to be" 0 "2 be
2 to"

exit $failed
