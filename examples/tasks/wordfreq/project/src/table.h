#ifndef TABLE_H
#define TABLE_H

#include <stddef.h>

/* Counts words. */

struct Entry {
    char *word;
    unsigned long count;
};

struct Table {
    struct Entry *entries;
    size_t length;
    size_t room;
};

/* Counts a word once more. */
void table_count(struct Table *table, const char *word);

/* Puts the most frequent words first; equally frequent ones in the order of the alphabet. */
void table_sort(struct Table *table);

void table_free(struct Table *table);

#endif
