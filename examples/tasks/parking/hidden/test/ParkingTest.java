import java.time.LocalDateTime;
import java.util.Map;

public class ParkingTest {
    private static final LocalDateTime ENTRY = LocalDateTime.of(2024, 5, 3, 22, 10);
    private static int failed = 0;

    private static void expect(String what, Object right, Object got) {
        if (!right.equals(got)) {
            System.out.println(what + ": expected " + right + ", got " + got);
            failed++;
        }
    }

    private static long fee(Tariff tariff, int hours, int minutes) {
        return Fees.cents(tariff, ENTRY, ENTRY.plusHours(hours).plusMinutes(minutes));
    }

    private static void withoutMaximum() {
        Tariff tariff = new Tariff(150, 20, 0);
        expect("20 minutes", 0L, fee(tariff, 0, 20));
        expect("21 minutes", 150L, fee(tariff, 0, 21));
        expect("2 hours", 300L, fee(tariff, 2, 0));
        expect("2 hours and 1 minute", 450L, fee(tariff, 2, 1));
    }

    private static void withMaximum() {
        Tariff tariff = new Tariff(150, 20, 1000);
        expect("6 hours", 900L, fee(tariff, 6, 0));
        expect("9 hours", 1000L, fee(tariff, 9, 0));
        expect("25 hours", 1150L, fee(tariff, 25, 0));
    }

    private static void reads() {
        Map<String, Tariff> tariffs = TariffFile.read("# places\nmarket: 150 20\nstation: 200 0 # no free minutes\n");
        expect("market", new Tariff(150, 20, 0), tariffs.get("market"));
        expect("station", new Tariff(200, 0, 0), tariffs.get("station"));
    }

    private static void severalDays() {
        Tariff tariff = new Tariff(150, 20, 1000);
        expect("24 hours", 1000L, fee(tariff, 24, 0));
        expect("24 hours and 1 minute", 1150L, fee(tariff, 24, 1));
        expect("47 hours", 2000L, fee(tariff, 47, 0));
        expect("48 hours", 2000L, fee(tariff, 48, 0));
        expect("74 hours and 30 minutes", 3450L, fee(tariff, 74, 30));
        expect("over midnight", 750L, fee(tariff, 5, 0));
        expect("15 minutes", 0L, fee(tariff, 0, 15));
        expect("30 hours without a maximum", 4500L, fee(new Tariff(150, 20, 0), 30, 0));
    }

    private static void maximumThatIsNeverReached() {
        Tariff tariff = new Tariff(10, 0, 1000);
        expect("23 hours", 230L, fee(tariff, 23, 0));
        expect("24 hours, cheap", 240L, fee(tariff, 24, 0));
        expect("50 hours, cheap", 500L, fee(tariff, 50, 0));
    }

    private static void maximumBelowAnHour() {
        Tariff tariff = new Tariff(500, 0, 300);
        expect("1 hour", 300L, fee(tariff, 1, 0));
        expect("25 hours, dear", 600L, fee(tariff, 25, 0));
    }

    private static void readsTheMaximum() {
        Map<String, Tariff> tariffs = TariffFile.read("market: 150 20 1000\n\nstation:  200  0   # none\nlake: 50 5 0\n");
        expect("market", new Tariff(150, 20, 1000), tariffs.get("market"));
        expect("station", new Tariff(200, 0, 0), tariffs.get("station"));
        expect("lake", new Tariff(50, 5, 0), tariffs.get("lake"));
        expect("station's maximum", 0, tariffs.get("station").dailyMaxCents());
    }

    private static void refuses(String what, Runnable action) {
        try {
            action.run();
        } catch (IllegalArgumentException error) {
            return;
        }
        System.out.println(what + ": expected an IllegalArgumentException");
        failed++;
    }

    private static void refusesWhatIsWrong() {
        refuses("negative maximum", () -> new Tariff(150, 20, -1));
        refuses("negative free minutes", () -> new Tariff(150, -20, 0));
        refuses("negative maximum in a file", () -> TariffFile.read("market: 150 20 -5"));
        refuses("one number", () -> TariffFile.read("market: 150"));
        refuses("four numbers", () -> TariffFile.read("market: 150 20 1000 7"));
        refuses("a word", () -> TariffFile.read("market: 150 20 much"));
        refuses("exit before entry", () -> fee(new Tariff(150, 20, 1000), -1, 0));
    }

    public static void main(String[] args) {
        withoutMaximum();
        withMaximum();
        reads();
        severalDays();
        maximumThatIsNeverReached();
        maximumBelowAnHour();
        readsTheMaximum();
        refusesWhatIsWrong();
        System.exit(failed == 0 ? 0 : 1);
    }
}
