#include "table.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *checked(void *memory)
{
    if (memory == NULL) {
        fputs("wordfreq: out of memory\n", stderr);
        exit(1);
    }
    return memory;
}

void table_count(struct Table *table, const char *word)
{
    for (size_t i = 0; i < table->length; i++) {
        if (strcmp(table->entries[i].word, word) == 0) {
            table->entries[i].count++;
            return;
        }
    }
    if (table->length == table->room) {
        table->room = table->room ? 2 * table->room : 16;
        table->entries = checked(realloc(table->entries, table->room * sizeof *table->entries));
    }
    table->entries[table->length].word = checked(strdup(word));
    table->entries[table->length].count = 1;
    table->length++;
}

static int by_count(const void *left, const void *right)
{
    const struct Entry *a = left, *b = right;
    if (a->count != b->count)
        return a->count < b->count ? 1 : -1;
    return strcmp(a->word, b->word);
}

void table_sort(struct Table *table)
{
    if (table->length > 0)
        qsort(table->entries, table->length, sizeof *table->entries, by_count);
}

void table_free(struct Table *table)
{
    for (size_t i = 0; i < table->length; i++)
        free(table->entries[i].word);
    free(table->entries);
}
