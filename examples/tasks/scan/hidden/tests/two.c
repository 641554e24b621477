#include <stdio.h>
#include <string.h>

#include "scan.h"

static int failed;

static void expect(int number, int right)
{
    if (!right) {
        printf("step %d is wrong\n", number);
        failed = 1;
    }
}

int main(void)
{
    SCANNER a, b;
    memset(&a, 0xff, sizeof a);
    memset(&b, 0xff, sizeof b);

    scan_start(&a, "one = 1\n\n\"first text\"");
    scan_start(&b, "[ two # note\n ]");
    expect(1, scan_next(&a) == TOKEN_WORD);
    expect(2, scan_next(&b) == TOKEN_SIGN);
    expect(3, strcmp(scan_text(&a), "one") == 0);
    expect(4, strcmp(scan_text(&b), "[") == 0);
    expect(5, scan_next(&a) == TOKEN_SIGN && strcmp(scan_text(&a), "=") == 0);
    expect(6, scan_next(&b) == TOKEN_WORD && strcmp(scan_text(&b), "two") == 0);
    expect(7, scan_next(&b) == TOKEN_SIGN && scan_line(&b) == 2);
    expect(8, scan_line(&a) == 1);
    expect(9, scan_next(&a) == TOKEN_NUMBER && strcmp(scan_text(&a), "1") == 0);
    expect(10, scan_next(&b) == TOKEN_END && strcmp(scan_text(&b), "") == 0);
    expect(11, scan_next(&a) == TOKEN_STRING && scan_line(&a) == 3);
    expect(12, strcmp(scan_text(&a), "first text") == 0);

    /* A scanner can begin again without touching the other one. */
    scan_start(&b, "x");
    expect(13, scan_line(&b) == 1);
    expect(14, scan_next(&a) == TOKEN_END);
    expect(15, scan_next(&b) == TOKEN_WORD && strcmp(scan_text(&b), "x") == 0);
    return failed;
}
