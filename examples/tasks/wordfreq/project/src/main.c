#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "table.h"

#define LONGEST 100

static void usage(void)
{
    fputs("usage: wordfreq [-i] < TEXT\n"
          "  -i  upper and lower case are the same\n",
          stderr);
    exit(2);
}

static void count_words(struct Table *table, int ignore_case)
{
    char word[LONGEST + 1];
    size_t length = 0;
    int c;

    do {
        c = getchar();
        if (c != EOF && isalnum(c)) {
            if (length < LONGEST)
                word[length++] = (char)(ignore_case ? tolower(c) : c);
        } else if (length > 0) {
            word[length] = '\0';
            table_count(table, word);
            length = 0;
        }
    } while (c != EOF);
}

int main(int argc, char **argv)
{
    struct Table table = {0};
    int ignore_case = 0;
    int option;

    while ((option = getopt(argc, argv, "i")) != -1) {
        switch (option) {
        case 'i':
            ignore_case = 1;
            break;
        default:
            usage();
        }
    }
    if (optind < argc)
        usage();

    count_words(&table, ignore_case);
    table_sort(&table);
    for (size_t i = 0; i < table.length; i++)
        printf("%lu %s\n", table.entries[i].count, table.entries[i].word);
    table_free(&table);
    return 0;
}
