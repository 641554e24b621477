#include "scan.h"

#include <ctype.h>
#include <stddef.h>

static const char *rest = "";
static int line = 1;
static int token_line = 1;
static char token_text[SCAN_TEXT];

static void keep(const char *from, const char *to)
{
    size_t length = 0;
    while (from < to && length < SCAN_TEXT - 1)
        token_text[length++] = *from++;
    token_text[length] = '\0';
}

static void skip(void)
{
    for (;;) {
        if (*rest == '#') {
            while (*rest && *rest != '\n')
                rest++;
        } else if (isspace((unsigned char)*rest)) {
            if (*rest == '\n')
                line++;
            rest++;
        } else {
            return;
        }
    }
}

void scan_start(const char *text)
{
    rest = text;
    line = token_line = 1;
    token_text[0] = '\0';
}

enum Token scan_next(void)
{
    skip();
    token_line = line;
    const char *from = rest;
    unsigned char first = (unsigned char)*rest;
    if (first == '\0') {
        token_text[0] = '\0';
        return TOKEN_END;
    }
    if (first == '"') {
        from = ++rest;
        while (*rest && *rest != '"' && *rest != '\n')
            rest++;
        keep(from, rest);
        if (*rest != '"')
            return TOKEN_BAD;
        rest++;
        return TOKEN_STRING;
    }
    if (isalpha(first) || first == '_') {
        while (isalnum((unsigned char)*rest) || *rest == '_' || *rest == '-')
            rest++;
        keep(from, rest);
        return TOKEN_WORD;
    }
    if (isdigit(first)) {
        while (isdigit((unsigned char)*rest))
            rest++;
        keep(from, rest);
        return TOKEN_NUMBER;
    }
    keep(from, ++rest);
    return first == '=' || first == '[' || first == ']' ? TOKEN_SIGN : TOKEN_BAD;
}

const char *scan_text(void)
{
    return token_text;
}

int scan_line(void)
{
    return token_line;
}
