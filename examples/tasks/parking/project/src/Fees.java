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
        return hoursBegun(parked) * tariff.centsPerHour();
    }

    private static long hoursBegun(Duration parked) {
        long hours = parked.toHours();
        return parked.equals(Duration.ofHours(hours)) ? hours : hours + 1;
    }
}
