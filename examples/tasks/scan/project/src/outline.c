#include "outline.h"

#include <stdio.h>
#include <string.h>

#include "scan.h"

static int is_sign(enum Token token, const char *sign)
{
    return token == TOKEN_SIGN && strcmp(scan_text(), sign) == 0;
}

int outline(const char *text)
{
    char section[SCAN_TEXT] = "(none)";
    int settings = 0;
    enum Token token;

    scan_start(text);
    while ((token = scan_next()) != TOKEN_END) {
        if (is_sign(token, "[")) {
            printf("%s: %d\n", section, settings);
            if (scan_next() != TOKEN_WORD)
                return scan_line();
            strcpy(section, scan_text());
            settings = 0;
            if (!is_sign(scan_next(), "]"))
                return scan_line();
        } else if (token == TOKEN_WORD) {
            if (!is_sign(scan_next(), "="))
                return scan_line();
            token = scan_next();
            if (token != TOKEN_WORD && token != TOKEN_NUMBER && token != TOKEN_STRING)
                return scan_line();
            settings++;
        } else {
            return scan_line();
        }
    }
    printf("%s: %d\n", section, settings);
    return 0;
}
