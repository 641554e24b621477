import java.util.LinkedHashMap;
import java.util.Map;

/**
 * Reads tariffs from lines such as {@code market: 150 20}: the name of the place, the cents for an hour, the free
 * minutes and, if there is one, the maximum for a day in cents. Empty lines and what follows a {@code #} do not count.
 */
public final class TariffFile {
    private TariffFile() {}

    public static Map<String, Tariff> read(String text) {
        Map<String, Tariff> tariffs = new LinkedHashMap<>();
        int number = 0;
        for (String line : text.split("\n")) {
            number++;
            String content = line.replaceFirst("#.*", "").strip();
            if (content.isEmpty()) {
                continue;
            }
            int colon = content.indexOf(':');
            if (colon < 1) {
                throw wrong(number, "no name");
            }
            String[] values = content.substring(colon + 1).strip().split("\\s+");
            if (values.length != 2 && values.length != 3) {
                throw wrong(number, "two or three numbers are needed");
            }
            try {
                int dailyMax = values.length == 3 ? Integer.parseInt(values[2]) : 0;
                tariffs.put(
                        content.substring(0, colon).strip(),
                        new Tariff(Integer.parseInt(values[0]), Integer.parseInt(values[1]), dailyMax));
            } catch (IllegalArgumentException error) {
                throw wrong(number, error.getMessage());
            }
        }
        return tariffs;
    }

    private static IllegalArgumentException wrong(int number, String what) {
        return new IllegalArgumentException("line " + number + ": " + what);
    }
}
