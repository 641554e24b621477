/**
 * What parking costs. Up to {@code freeMinutes} it costs nothing; after that every hour that was begun is charged, but
 * no more than {@code dailyMaxCents} for each 24 hours. With 0 there is no such maximum.
 */
public record Tariff(int centsPerHour, int freeMinutes, int dailyMaxCents) {
    public Tariff {
        if (centsPerHour < 0 || freeMinutes < 0 || dailyMaxCents < 0) {
            throw new IllegalArgumentException("a tariff has no negative values");
        }
    }
}
