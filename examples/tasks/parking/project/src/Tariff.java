/** What parking costs. Up to {@code freeMinutes} it costs nothing; after that every hour that was begun is charged. */
public record Tariff(int centsPerHour, int freeMinutes) {
    public Tariff {
        if (centsPerHour < 0 || freeMinutes < 0) {
            throw new IllegalArgumentException("a tariff has no negative values");
        }
    }
}
