#pragma once

#include <stdexcept>
#include <string>

// An expression that cannot be worked out, and where.
class CalcError : public std::runtime_error {
public:
    CalcError(const std::string &what, std::size_t at) : std::runtime_error(what), at(at) {}

    const std::size_t at;
};

// Works out an expression of numbers, + - * / ^ and parentheses.
double calculate(const std::string &text);
