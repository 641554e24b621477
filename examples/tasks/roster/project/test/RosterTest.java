public class RosterTest {
    private static int failed = 0;

    private static void expect(String what, Object right, Object got) {
        if (!right.equals(got)) {
            System.out.println(what + ": expected " + right + ", got " + got);
            failed++;
        }
    }

    private static void waits() {
        Roster roster = new Roster(1);
        Member ann = new Member("Ann", "ann@example.org");
        expect("first", true, roster.signUp(ann));
        expect("second", true, roster.signUp(new Member("Bo", "bo@example.org")));
        expect("waiting", "[Bo <bo@example.org>]", roster.waiting().toString());
        expect("cancelled", true, roster.cancel(ann));
        expect("moved up", "[Bo <bo@example.org>]", roster.members().toString());
    }

    private static void sameEmail() {
        Roster roster = new Roster(10);
        roster.signUp(new Member("Ann", "ann@example.org"));
        expect("again", false, roster.signUp(new Member("Ann B.", "ann@example.org")));
        expect("members", "[Ann <ann@example.org>]", roster.members().toString());
    }

    public static void main(String[] args) {
        waits();
        sameEmail();
        System.exit(failed == 0 ? 0 : 1);
    }
}
