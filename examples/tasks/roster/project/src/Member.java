/** Somebody who takes part. Two members with the same email are the same person. */
public final class Member {
    private final String name;
    private final String email;

    public Member(String name, String email) {
        if (!email.contains("@")) {
            throw new IllegalArgumentException("not an email: " + email);
        }
        this.name = name;
        this.email = email;
    }

    public String name() {
        return name;
    }

    public String email() {
        return email;
    }

    @Override
    public boolean equals(Object other) {
        return other instanceof Member member && email.equalsIgnoreCase(member.email);
    }

    @Override
    public String toString() {
        return name + " <" + email + ">";
    }
}
