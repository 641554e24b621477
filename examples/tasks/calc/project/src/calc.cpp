#include "calc.hpp"

#include <cctype>
#include <cmath>
#include <cstdlib>

namespace {

// One method for each level, from the loosest to the tightest.
class Parser {
public:
    explicit Parser(const std::string &text) : text(text) {}

    double all()
    {
        double value = sum();
        skip();
        if (at < text.size())
            throw CalcError(std::string("unexpected ") + text[at], at);
        return value;
    }

private:
    void skip()
    {
        while (at < text.size() && std::isspace(static_cast<unsigned char>(text[at])))
            at++;
    }

    bool accept(char sign)
    {
        skip();
        if (at >= text.size() || text[at] != sign)
            return false;
        at++;
        return true;
    }

    double sum()
    {
        double value = product();
        for (;;) {
            if (accept('+'))
                value += product();
            else if (accept('-'))
                value -= product();
            else
                return value;
        }
    }

    double product()
    {
        double value = negated();
        for (;;) {
            if (accept('*')) {
                value *= negated();
            } else if (accept('/')) {
                double divisor = negated();
                if (divisor == 0)
                    throw CalcError("division by zero", at);
                value /= divisor;
            } else {
                return value;
            }
        }
    }

    // A sign before a power belongs to the whole power: -2^2 is -4.
    double negated()
    {
        return accept('-') ? -negated() : power();
    }

    double power()
    {
        double base = primary();
        while (accept('^')) {
            bool negative = accept('-');
            double exponent = primary();
            base = std::pow(base, negative ? -exponent : exponent);
        }
        return base;
    }

    double primary()
    {
        if (accept('(')) {
            double value = sum();
            if (!accept(')'))
                throw CalcError("missing )", at);
            return value;
        }
        skip();
        if (at >= text.size())
            throw CalcError("unexpected end", at);
        if (!std::isdigit(static_cast<unsigned char>(text[at])))
            throw CalcError(std::string("unexpected ") + text[at], at);
        char *end = nullptr;
        double value = std::strtod(text.c_str() + at, &end);
        at = static_cast<std::size_t>(end - text.c_str());
        return value;
    }

    const std::string &text;
    std::size_t at = 0;
};

}  // namespace

double calculate(const std::string &text)
{
    return Parser(text).all();
}
