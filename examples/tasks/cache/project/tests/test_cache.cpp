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

int main()
{
    drops_the_least_used();
    puts_again();
    removes();
    resizes();
    return failed;
}
