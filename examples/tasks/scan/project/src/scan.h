#ifndef SCAN_H
#define SCAN_H

/* Splits the text of a settings file into tokens. */

#define SCAN_TEXT 64

enum Token { TOKEN_END, TOKEN_WORD, TOKEN_NUMBER, TOKEN_STRING, TOKEN_SIGN, TOKEN_BAD };

/* Begins with a text, which must stay as long as it is scanned. */
void scan_start(const char *text);

/* Reads the next token. */
enum Token scan_next(void);

/* The last token as it stood in the file (a string without its quotes), cut at SCAN_TEXT - 1 characters. */
const char *scan_text(void);

/* The line in which the last token begins, from 1. */
int scan_line(void);

#endif
