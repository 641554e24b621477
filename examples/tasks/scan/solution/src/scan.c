#include "scan.h"

#include <ctype.h>
#include <stddef.h>

static void keep(struct Scanner *scanner, const char *from, const char *to)
{
    size_t length = 0;
    while (from < to && length < SCAN_TEXT - 1)
        scanner->token_text[length++] = *from++;
    scanner->token_text[length] = '\0';
}

static void skip(struct Scanner *scanner)
{
    for (;;) {
        if (*scanner->rest == '#') {
            while (*scanner->rest && *scanner->rest != '\n')
                scanner->rest++;
        } else if (isspace((unsigned char)*scanner->rest)) {
            if (*scanner->rest == '\n')
                scanner->line++;
            scanner->rest++;
        } else {
            return;
        }
    }
}

void scan_start(struct Scanner *scanner, const char *text)
{
    scanner->rest = text;
    scanner->line = scanner->token_line = 1;
    scanner->token_text[0] = '\0';
}

enum Token scan_next(struct Scanner *scanner)
{
    skip(scanner);
    scanner->token_line = scanner->line;
    const char *from = scanner->rest;
    unsigned char first = (unsigned char)*scanner->rest;
    if (first == '\0') {
        scanner->token_text[0] = '\0';
        return TOKEN_END;
    }
    if (first == '"') {
        from = ++scanner->rest;
        while (*scanner->rest && *scanner->rest != '"' && *scanner->rest != '\n')
            scanner->rest++;
        keep(scanner, from, scanner->rest);
        if (*scanner->rest != '"')
            return TOKEN_BAD;
        scanner->rest++;
        return TOKEN_STRING;
    }
    if (isalpha(first) || first == '_') {
        while (isalnum((unsigned char)*scanner->rest) || *scanner->rest == '_' || *scanner->rest == '-')
            scanner->rest++;
        keep(scanner, from, scanner->rest);
        return TOKEN_WORD;
    }
    if (isdigit(first)) {
        while (isdigit((unsigned char)*scanner->rest))
            scanner->rest++;
        keep(scanner, from, scanner->rest);
        return TOKEN_NUMBER;
    }
    keep(scanner, from, ++scanner->rest);
    return first == '=' || first == '[' || first == ']' ? TOKEN_SIGN : TOKEN_BAD;
}

const char *scan_text(const struct Scanner *scanner)
{
    return scanner->token_text;
}

int scan_line(const struct Scanner *scanner)
{
    return scanner->token_line;
}
