#include <iostream>
#include <string>

#include "calc.hpp"

// Works out one expression a line.
int main()
{
    std::string line;
    bool wrong = false;
    while (std::getline(std::cin, line)) {
        try {
            std::cout << calculate(line) << '\n';
        } catch (const CalcError &error) {
            std::cout << "error at " << error.at + 1 << ": " << error.what() << '\n';
            wrong = true;
        }
    }
    return wrong ? 1 : 0;
}
