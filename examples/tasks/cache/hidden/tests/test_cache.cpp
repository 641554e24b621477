#include <cstdio>
#include <stdexcept>
#include <string>

#include "cache.hpp"

static int failed = 0;

#define EXPECT(what)                                                     \
    do {                                                                 \
        if (!(what)) {                                                   \
            std::printf("line %d: expected " #what "\n", __LINE__);      \
            failed = 1;                                                  \
        }                                                                \
    } while (0)

static void drops_the_least_used()
{
    Cache cache(2);
    cache.put("a", "1");
    cache.put("b", "2");
    EXPECT(cache.get("a") == "1");
    cache.put("c", "3");
    EXPECT(!cache.get("b"));
    EXPECT(cache.get("a") == "1");
    EXPECT(cache.size() == 2);
}

static void puts_again()
{
    Cache cache(2);
    cache.put("a", "1");
    cache.put("a", "2");
    EXPECT(cache.get("a") == "2");
    EXPECT(cache.size() == 1);
}

static void removes()
{
    Cache cache(2);
    cache.put("a", "1");
    EXPECT(cache.remove("a"));
    EXPECT(!cache.remove("a"));
    EXPECT(!cache.get("a"));
}

static void resizes()
{
    Cache cache(3);
    cache.put("a", "1");
    cache.put("b", "2");
    cache.put("c", "3");
    cache.resize(2);
    EXPECT(cache.capacity() == 2);
    EXPECT(cache.size() == 2);
    EXPECT(!cache.get("a"));
}

static void goes_on_after_remove()
{
    Cache cache(2);
    EXPECT(!cache.remove("x"));
    cache.put("a", "1");
    cache.put("b", "2");
    EXPECT(cache.remove("b"));
    EXPECT(cache.size() == 1);
    cache.put("c", "3");
    EXPECT(cache.get("a") == "1");
    EXPECT(cache.get("c") == "3");
    cache.put("b", "4");
    EXPECT(!cache.get("a"));
    EXPECT(cache.get("b") == "4");
    EXPECT(cache.size() == 2);
}

static void shrinks_by_use()
{
    Cache cache(4);
    for (const char *key : {"a", "b", "c", "d"})
        cache.put(key, key);
    cache.get("a");
    cache.put("b", "new");
    cache.resize(2);
    EXPECT(cache.get("a") == "a");
    EXPECT(cache.get("b") == "new");
    EXPECT(!cache.get("c"));
    EXPECT(!cache.get("d"));
    cache.put("e", "5");
    EXPECT(cache.size() == 2);
    EXPECT(!cache.get("a"));
    cache.put("c", "again");
    EXPECT(cache.get("c") == "again");
}

static void grows()
{
    Cache cache(1);
    cache.put("a", "1");
    cache.resize(3);
    EXPECT(cache.capacity() == 3);
    cache.put("b", "2");
    cache.put("c", "3");
    EXPECT(cache.size() == 3);
    EXPECT(cache.get("a") == "1");
}

static void refuses_no_room()
{
    Cache cache(2);
    cache.put("a", "1");
    cache.put("b", "2");
    bool refused = false;
    try {
        cache.resize(0);
    } catch (const std::invalid_argument &) {
        refused = true;
    }
    EXPECT(refused);
    EXPECT(cache.capacity() == 2);
    EXPECT(cache.get("a") == "1");
    EXPECT(cache.get("b") == "2");
}

int main()
{
    drops_the_least_used();
    puts_again();
    removes();
    resizes();
    goes_on_after_remove();
    shrinks_by_use();
    grows();
    refuses_no_room();
    return failed;
}
