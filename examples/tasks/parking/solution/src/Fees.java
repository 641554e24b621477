import java.time.Duration;
import java.time.LocalDateTime;

/** Works out what a ticket costs. */
public final class Fees {
    private Fees() {}

    /** The cents for parking from the entry to the exit. */
    public static long cents(Tariff tariff, LocalDateTime entry, LocalDateTime exit) {
        Duration parked = Duration.between(entry, exit);
        if (parked.isNegative()) {
            throw new IllegalArgumentException("the exit is before the entry");
        }
        if (parked.compareTo(Duration.ofMinutes(tariff.freeMinutes())) <= 0) {
            return 0;
        }
        long hours = hoursBegun(parked);
        return hours / 24 * charged(tariff, 24) + charged(tariff, hours % 24);
    }

    /** The cents for up to 24 hours. */
    private static long charged(Tariff tariff, long hours) {
        long cents = hours * tariff.centsPerHour();
        return tariff.dailyMaxCents() == 0 ? cents : Math.min(cents, tariff.dailyMaxCents());
    }

    private static long hoursBegun(Duration parked) {
        long hours = parked.toHours();
        return parked.equals(Duration.ofHours(hours)) ? hours : hours + 1;
    }
}
