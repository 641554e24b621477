#include "cache.hpp"

#include <stdexcept>

static std::size_t checked(std::size_t capacity)
{
    if (capacity == 0)
        throw std::invalid_argument("a cache needs room for one entry at least");
    return capacity;
}

Cache::Cache(std::size_t capacity) : limit(checked(capacity))
{
}

std::optional<std::string> Cache::get(const std::string &key)
{
    auto place = places.find(key);
    if (place == places.end())
        return std::nullopt;
    entries.splice(entries.begin(), entries, place->second);
    return place->second->value;
}

void Cache::put(const std::string &key, const std::string &value)
{
    auto place = places.find(key);
    if (place != places.end()) {
        place->second->value = value;
        entries.splice(entries.begin(), entries, place->second);
        return;
    }
    if (entries.size() == limit)
        drop_last();
    entries.push_front({key, value});
    places[key] = entries.begin();
}

bool Cache::remove(const std::string &key)
{
    auto place = places.find(key);
    if (place == places.end())
        return false;
    entries.erase(place->second);
    places.erase(place);
    return true;
}

void Cache::resize(std::size_t capacity)
{
    limit = checked(capacity);
    while (entries.size() > limit)
        drop_last();
}

void Cache::drop_last()
{
    places.erase(entries.back().key);
    entries.pop_back();
}

std::size_t Cache::size() const
{
    return entries.size();
}

std::size_t Cache::capacity() const
{
    return limit;
}
