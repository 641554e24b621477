#ifndef SCAN_H
#define SCAN_H

/* Splits the text of a settings file into tokens. */

#define SCAN_TEXT 64

enum Token { TOKEN_END, TOKEN_WORD, TOKEN_NUMBER, TOKEN_STRING, TOKEN_SIGN, TOKEN_BAD };

struct Scanner {
    const char *rest;
    int line;
    int token_line;
    char token_text[SCAN_TEXT];
};

/* Begins with a text, which must stay as long as it is scanned. */
void scan_start(struct Scanner *scanner, const char *text);

/* Reads the next token. */
enum Token scan_next(struct Scanner *scanner);

/* The last token as it stood in the file (a string without its quotes), cut at SCAN_TEXT - 1 characters. */
const char *scan_text(const struct Scanner *scanner);

/* The line in which the last token begins, from 1. */
int scan_line(const struct Scanner *scanner);

#endif
