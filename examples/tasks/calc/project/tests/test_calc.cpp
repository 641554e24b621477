#include <cmath>
#include <cstdio>
#include <string>

#include "calc.hpp"

static int failed = 0;

static void expect(const std::string &text, double right)
{
    try {
        double got = calculate(text);
        if (std::fabs(got - right) < 1e-9)
            return;
        std::printf("%s: expected %g, got %g\n", text.c_str(), right, got);
    } catch (const CalcError &error) {
        std::printf("%s: expected %g, got an error: %s\n", text.c_str(), right, error.what());
    }
    failed = 1;
}

static void expect_error(const std::string &text)
{
    try {
        std::printf("%s: expected an error, got %g\n", text.c_str(), calculate(text));
        failed = 1;
    } catch (const CalcError &) {
    }
}

int main()
{
    expect("1 + 2 * 3", 7);
    expect("10 - 4 - 3", 3);
    expect("(1 + 2) * 3", 9);
    expect("2^10", 1024);
    expect("-2^2", -4);
    expect("2^-1", 0.5);
    expect("2^3^2", 512);
    expect_error("1 +");
    expect_error("(1");
    expect_error("1 / 0");
    return failed;
}
