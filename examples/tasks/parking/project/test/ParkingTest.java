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

    public static void main(String[] args) {
        withoutMaximum();
        withMaximum();
        reads();
        System.exit(failed == 0 ? 0 : 1);
    }
}
