#include <stdio.h>
#include <string.h>

#include "outline.h"
#include "scan.h"

static char text[65536];

static void print_tokens(void)
{
    static const char *const names[] = {"end", "word", "number", "string", "sign", "bad"};
    enum Token token;

    scan_start(text);
    do {
        token = scan_next();
        printf("%d %s %s\n", scan_line(), names[token], scan_text());
    } while (token != TOKEN_END);
}

/* Reads settings from stdin and prints their outline, or all tokens with --tokens. */
int main(int argc, char **argv)
{
    size_t length = fread(text, 1, sizeof text - 1, stdin);
    text[length] = '\0';
    if (argc == 2 && strcmp(argv[1], "--tokens") == 0) {
        print_tokens();
        return 0;
    }
    int wrong = outline(text);
    if (wrong)
        fprintf(stderr, "outline: mistake in line %d\n", wrong);
    return wrong ? 1 : 0;
}
