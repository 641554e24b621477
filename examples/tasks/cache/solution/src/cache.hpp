#pragma once

#include <cstddef>
#include <list>
#include <optional>
#include <string>
#include <unordered_map>

// Keeps the entries that were used last; get and put both count as use.
class Cache {
public:
    // Throws std::invalid_argument for a capacity of 0.
    explicit Cache(std::size_t capacity);

    // The value, if there is one.
    std::optional<std::string> get(const std::string &key);

    void put(const std::string &key, const std::string &value);

    // Whether the key was there.
    bool remove(const std::string &key);

    // Drops the entries unused for the longest time until the rest fits.
    // Throws std::invalid_argument for a capacity of 0.
    void resize(std::size_t capacity);

    std::size_t size() const;
    std::size_t capacity() const;

private:
    struct Entry {
        std::string key;
        std::string value;
    };

    void drop_last();

    std::size_t limit;
    std::list<Entry> entries;  // the one used last comes first
    std::unordered_map<std::string, std::list<Entry>::iterator> places;
};
