#include "outline.h"

#include <stdio.h>
#include <string.h>

#include "scan.h"

static int is_sign(const struct Scanner *scanner, enum Token token, const char *sign)
{
    return token == TOKEN_SIGN && strcmp(scan_text(scanner), sign) == 0;
}

int outline(const char *text)
{
    struct Scanner scanner;
    char section[SCAN_TEXT] = "(none)";
    int settings = 0;
    enum Token token;

    scan_start(&scanner, text);
    while ((token = scan_next(&scanner)) != TOKEN_END) {
        if (is_sign(&scanner, token, "[")) {
            printf("%s: %d\n", section, settings);
            if (scan_next(&scanner) != TOKEN_WORD)
                return scan_line(&scanner);
            strcpy(section, scan_text(&scanner));
            settings = 0;
            if (!is_sign(&scanner, scan_next(&scanner), "]"))
                return scan_line(&scanner);
        } else if (token == TOKEN_WORD) {
            if (!is_sign(&scanner, scan_next(&scanner), "="))
                return scan_line(&scanner);
            token = scan_next(&scanner);
            if (token != TOKEN_WORD && token != TOKEN_NUMBER && token != TOKEN_STRING)
                return scan_line(&scanner);
            settings++;
        } else {
            return scan_line(&scanner);
        }
    }
    printf("%s: %d\n", section, settings);
    return 0;
}
