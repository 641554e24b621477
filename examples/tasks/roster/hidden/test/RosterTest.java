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

    private static void sameEmailInOtherLetters() {
        Roster roster = new Roster(10);
        roster.signUp(new Member("Ann", "Ann@Example.org"));
        expect("other case", false, roster.signUp(new Member("ANN", "ann@EXAMPLE.ORG")));
        expect("as it was given", "[Ann <Ann@Example.org>]", roster.members().toString());
        expect("somebody else", true, roster.signUp(new Member("Ann", "ann2@example.org")));
        expect("two", 2, roster.members().size());
    }

    private static void sameEmailInTheQueue() {
        Roster roster = new Roster(1);
        roster.signUp(new Member("Ann", "ann@example.org"));
        roster.signUp(new Member("Bo", "bo@example.org"));
        expect("has a place", false, roster.signUp(new Member("Ann", "ANN@example.org")));
        expect("waits already", false, roster.signUp(new Member("Bo", "Bo@example.org")));
        expect("one waits", 1, roster.waiting().size());
    }

    private static void cancelsByEmail() {
        Roster roster = new Roster(1);
        roster.signUp(new Member("Ann", "ann@example.org"));
        roster.signUp(new Member("Bo", "bo@example.org"));
        expect("nobody", false, roster.cancel(new Member("Cy", "cy@example.org")));
        expect("cancelled", true, roster.cancel(new Member("", "ANN@example.org")));
        expect("moved up", "[Bo <bo@example.org>]", roster.members().toString());
        expect("none waits", 0, roster.waiting().size());
    }

    public static void main(String[] args) {
        waits();
        sameEmail();
        sameEmailInOtherLetters();
        sameEmailInTheQueue();
        cancelsByEmail();
        System.exit(failed == 0 ? 0 : 1);
    }
}
