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

    std::size_t size() const;
    std::size_t capacity() const;

private:
    struct Entry {
        std::string key;
        std::string value;
    };

    std::size_t limit;
    std::list<Entry> entries;  // the one used last comes first
    std::unordered_map<std::string, std::list<Entry>::iterator> places;
};
